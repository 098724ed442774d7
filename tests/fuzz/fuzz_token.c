/* What a person pastes as a token. A text that parses is one that formatting gives back. */
#include "gossip/trust/token.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xmalloc(size + 1);
	char again[TOKEN_TEXT_MAX];
	struct token t, back;
	struct err err = {0};

	memcpy(text, data, size);
	text[size] = '\0';
	if (token_parse(&t, text, &err) < 0) {
		assert(err.code == ERR_USAGE && *err.text);
		return 0;
	}
	if (token_format(again, &t, NULL) < 0 || token_parse(&back, again, NULL) < 0)
		abort();
	if (memcmp(&t, &back, sizeof(t)) != 0)
		abort();
	return 0;
}
