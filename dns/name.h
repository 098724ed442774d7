/*
 * Domain names in wire form: labels, each preceded by its length, ended by the root's zero (RFC 1035, 3.1).
 * Lower-casing a whole wire name at once is safe: a length is at most 63 and 'A' is 65.
 */
#ifndef DNS_NAME_H
#define DNS_NAME_H

#include "base/types.h"

/* Bytes of a name with all its lengths and the root (RFC 1035, 2.3.4), and of one label. */
#define DNS_NAME_MAX  255
#define DNS_LABEL_MAX 63
/* 255 bytes hold at most 127 labels of one byte, without the root. */
#define DNS_LABELS_MAX 127

/* A name as it was read: lower-cased, with the place of each label, so that suffixes are found without a scan. */
struct dns_name {
	uint8_t wire[DNS_NAME_MAX];
	uint8_t len;                /* bytes of wire, root included; 0: no name */
	uint8_t n_labels;           /* the root not counted */
	uint8_t at[DNS_LABELS_MAX]; /* offset in wire of each label */
};

/* Reads an uncompressed name from the start of at most len bytes. Returns its length in bytes, or 0 when it is cut
 * off, too long, or holds a compression pointer (the first name of a message has nothing to point to). */
size_t dns_name_read(struct dns_name *out, const uint8_t *bytes, size_t len);

/* Steps over a name that may end in a pointer, at offset at of a message of len bytes. Returns the offset behind
 * it, or 0 when it is malformed. The pointer is not followed. */
size_t dns_name_skip(const uint8_t *msg, size_t len, size_t at);

/* Reads "starling.internal." or "starling.internal"; "." is the root. Lower-cases. False: an empty label, one of
 * more than 63 bytes, or more than 255 bytes in all. Escapes are not understood: our names need none. */
bool dns_name_parse(struct dns_name *out, const char *text);

/* Is it one usable label: 1-63 bytes, printable ASCII, no dot, no blank, no backslash? Wider than a host name's, so
 * that underscores and the "~" of ambiguous peers pass. */
bool dns_label_ok(const char *text);

/* Puts a label before the name: "web" and hello.zone. make web.hello.zone. False, name untouched: not a label, or
 * too long together. */
bool dns_name_prepend(struct dns_name *name, const char *label);

#endif
