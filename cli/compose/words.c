#include "cli/compose/words.h"

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies one quoted part and gives where it ends, or NULL without a closing quote. */
static const char *quoted(const char *p, char quote, char *out, size_t *len)
{
	for (; *p && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && p[1] && strchr("\"\\$`\n", p[1])) {
			p++;
			if (*p == '\n')
				continue;
		}
		out[(*len)++] = *p;
	}
	return *p ? p + 1 : NULL;
}

int words_split(struct arena *arena, const char *text, const char **out, size_t max, struct err *err)
{
	const char *p = text;
	size_t n = 0;

	for (;;) {
		char *word;
		size_t len = 0;

		while (blank(*p))
			p++;
		if (!*p)
			return (int)n;
		if (n == max)
			return err_set(err, ERR_USAGE, "more than %zu words", max);
		word = arena_alloc(arena, strlen(p) + 1);
		while (*p && !blank(*p)) {
			if (*p == '\'' || *p == '"') {
				char quote = *p;

				p = quoted(p + 1, quote, word, &len);
				if (!p)
					return err_set(err, ERR_USAGE, "a %c quote is not closed", quote);
			} else if (*p == '\\' && p[1]) {
				if (p[1] != '\n')
					word[len++] = p[1];
				p += 2;
			} else {
				word[len++] = *p++;
			}
		}
		word[len] = '\0';
		out[n++] = word;
	}
}
