/* "Did you mean": the nearest of the words that could stand there. */
#include "cli/near.h"

#include "base/types.h"

/* Longer words are typos of nothing. */
#define NEAR_MAX 40

/* Optimal string alignment distance: insert, delete, replace, swap neighbours. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
	unsigned d[NEAR_MAX + 1][NEAR_MAX + 1];

	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		for (size_t j = 1; j <= m; j++) {
			unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			best = MIN(best, d[i - 1][j] + 1);
			best = MIN(best, d[i][j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	}
	return d[n][m];
}

const char *near_word(const char *word, const char *const *words, size_t n)
{
	size_t len = strlen(word);
	const char *best = NULL;
	unsigned least = 0;

	if (len > NEAR_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = strlen(words[i]);
		unsigned d;

		if (other > NEAR_MAX)
			continue;
		d = distance(word, len, words[i], other);
		if (d > 0 && d <= MAX(len, other) / 3 && (!best || d < least)) {
			best = words[i];
			least = d;
		}
	}
	return best;
}
