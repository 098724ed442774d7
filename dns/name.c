#include "dns/name.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

size_t dns_name_read(struct dns_name *out, const uint8_t *bytes, size_t len)
{
	size_t at = 0;
	size_t labels = 0;

	out->len = 0;
	for (;;) {
		if (at >= len || at >= DNS_NAME_MAX)
			return 0;
		uint8_t n = bytes[at];

		out->wire[at] = n;
		if (n == 0)
			break;
		/* 0xc0 is a pointer, 0x40 and 0x80 are reserved (RFC 1035, 4.1.4). Behind the label the root must
		 * still fit. */
		if (n > DNS_LABEL_MAX || at + 1 + n >= DNS_NAME_MAX || at + 1 + n >= len)
			return 0;
		out->at[labels++] = (uint8_t)at;
		for (size_t i = at + 1; i <= at + n; i++)
			out->wire[i] = lower(bytes[i]);
		at += 1 + (size_t)n;
	}
	out->n_labels = (uint8_t)labels;
	out->len = (uint8_t)(at + 1);
	return at + 1;
}

size_t dns_name_skip(const uint8_t *msg, size_t len, size_t at)
{
	size_t start = at;

	while (at < len) {
		uint8_t n = msg[at];

		if (n == 0)
			return at + 1;
		if ((n & 0xc0) == 0xc0)
			return at + 2 <= len ? at + 2 : 0;
		if (n > DNS_LABEL_MAX || at + 1 + n - start >= DNS_NAME_MAX)
			return 0;
		at += 1 + (size_t)n;
	}
	return 0;
}

bool dns_name_parse(struct dns_name *out, const char *text)
{
	uint8_t wire[DNS_NAME_MAX];
	size_t at = 0;

	if (strcmp(text, ".") == 0)
		text = "";
	while (*text) {
		size_t n = strcspn(text, ".");

		if (n == 0 || n > DNS_LABEL_MAX || at + 1 + n >= DNS_NAME_MAX)
			return false;
		wire[at] = (uint8_t)n;
		memcpy(wire + at + 1, text, n);
		at += 1 + n;
		text += n;
		if (*text == '.')
			text++;
	}
	wire[at] = 0;
	return dns_name_read(out, wire, at + 1) > 0;
}

bool dns_label_ok(const char *text)
{
	size_t n = strlen(text);

	if (n == 0 || n > DNS_LABEL_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[i] == '.' || text[i] == '\\')
			return false;
	return true;
}

bool dns_name_prepend(struct dns_name *name, const char *label)
{
	size_t n = strlen(label);

	if (!dns_label_ok(label) || name->len + 1 + n > DNS_NAME_MAX)
		return false;
	memmove(name->wire + 1 + n, name->wire, name->len);
	name->wire[0] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		name->wire[1 + i] = lower((uint8_t)label[i]);
	for (size_t i = name->n_labels; i > 0; i--)
		name->at[i] = (uint8_t)(name->at[i - 1] + 1 + n);
	name->at[0] = 0;
	name->n_labels++;
	name->len = (uint8_t)(name->len + 1 + n);
	return true;
}
