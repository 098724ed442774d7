/* "Did you mean". */
#ifndef CLI_NEAR_H
#define CLI_NEAR_H

#include <stddef.h>

/* Nearest of n words to a misspelt one, or NULL when none is near: at most a third of its letters differ. */
const char *near_word(const char *word, const char *const *words, size_t n);

#endif
