/*
 * Random cases that shrink. A law draws all its choices with draw() and chance(), which are kept on a tape. When it
 * fails, the tape is made smaller (choices left out, or lower) and the law is played from it again, as long as it still
 * fails: fewer members, stacks, services and claims, smaller numbers, nothing that happens by chance.
 */
#ifndef TESTS_UNIT_SHRINK_H
#define TESTS_UNIT_SHRINK_H

#include "base/drbg.h"
#include "tests/unit/unit.h"

#include <setjmp.h>
#include <stdio.h>

#define TAPE_MAX 20000 /* choices of one case */
/* Cases played while one shrinks, and how long at most, in seconds. */
#define SHRINK_TRIES   20000
#define SHRINK_SECONDS 20

static struct {
	struct drbg rng;
	bool replay;
	size_t n, at;
	uint64_t v[TAPE_MAX];
	jmp_buf back;
	char why[512];
} tape;

/* 0 to n - 1; what the tape does not say is 0. */
static uint64_t draw(uint64_t n)
{
	uint64_t v;

	if (tape.replay)
		return tape.at < tape.n ? tape.v[tape.at++] % n : 0;
	v = drbg_below(&tape.rng, n);
	if (tape.n < TAPE_MAX)
		tape.v[tape.n++] = v;
	return v;
}

/* True in one of n cases; never when shrunk. */
static bool chance(uint64_t n)
{
	return draw(n) + 1 == n;
}

#define LAW(cond)                                                                                                \
	do {                                                                                                     \
		if (!(cond)) {                                                                                   \
			snprintf(tape.why, sizeof(tape.why), "%s does not hold", #cond);                         \
			longjmp(tape.back, 1);                                                                   \
		}                                                                                                \
	} while (0)

/* Does the law fail? clean_up() is called after each case that was built whole. */
static bool law_fails(void (*law)(void), void (*clean_up)(void))
{
	tape.at = 0;
	if (setjmp(tape.back))
		return true;
	law();
	clean_up();
	return false;
}

static bool still_fails(void (*law)(void), void (*clean_up)(void), size_t *tries)
{
	--*tries;
	tape.replay = true;
	if (!law_fails(law, clean_up))
		return false;
	clean_up();
	return true;
}

/* Leaves out choices, half of them at a time first. True: it became shorter. */
static bool shorten(void (*law)(void), void (*clean_up)(void), size_t *tries)
{
	static uint64_t kept[TAPE_MAX];
	bool shorter = false;

	for (size_t len = tape.n / 2 + 1; len > 0; len /= 2)
		for (size_t at = tape.n; at > 0 && *tries;) {
			size_t from = at > len ? at - len : 0, n = tape.n;

			memcpy(kept, tape.v, n * sizeof(*kept));
			memmove(tape.v + from, tape.v + at, (n - at) * sizeof(*kept));
			tape.n = n - (at - from);
			if (still_fails(law, clean_up, tries)) {
				shorter = true;
			} else {
				memcpy(tape.v, kept, n * sizeof(*kept));
				tape.n = n;
			}
			at = from;
		}
	return shorter;
}

static bool lower(void (*law)(void), void (*clean_up)(void), size_t *tries)
{
	bool lowered = false;

	for (size_t i = 0; i < tape.n && *tries; i++) {
		uint64_t was = tape.v[i], to[3] = {0, was / 2, was - 1};

		for (size_t k = 0; was && k < 3 && tape.v[i] == was; k++) {
			tape.v[i] = to[k];
			if (still_fails(law, clean_up, tries))
				lowered = true;
			else
				tape.v[i] = was;
		}
	}
	return lowered;
}

/* The failing case that is on the tape, as small as it gets; then built once more, and left standing. */
static void shrink(void (*law)(void), void (*clean_up)(void), double (*seconds)(void))
{
	size_t tries = SHRINK_TRIES;
	double until = seconds() + SHRINK_SECONDS;
	bool shorter, lowered;

	do {
		shorter = shorten(law, clean_up, &tries);
		lowered = lower(law, clean_up, &tries);
	} while ((shorter || lowered) && tries && seconds() < until);
	law_fails(law, clean_up);
}

#endif
