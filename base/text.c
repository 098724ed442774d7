#include "base/text.h"

#include <stdio.h>
#include <time.h>

void hex_encode(char *out, const void *bytes, size_t len)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++) {
		*out++ = digit[p[i] >> 4];
		*out++ = digit[p[i] & 15];
	}
	*out = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hex_decode(void *out, size_t len, const char *text)
{
	uint8_t *p = out;

	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int hi = hex_digit(text[2 * i]);
		int lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		p[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

void id64_text(char out[17], id64 id)
{
	uint8_t b[8];

	for (int i = 8; i-- > 0; id >>= 8)
		b[i] = (uint8_t)id;
	hex_encode(out, b, sizeof(b));
}

bool id64_parse(id64 *out, const char *text)
{
	uint8_t b[8];

	if (!hex_decode(b, sizeof(b), text))
		return false;
	*out = 0;
	for (int i = 0; i < 8; i++)
		*out = *out << 8 | b[i];
	return true;
}

bool text_is_utf8(const char *text, size_t len)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t i = 0;

	while (i < len) {
		uint8_t c = s[i++];
		uint32_t point;
		int more;

		if (c == 0)
			return false;
		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			point = c & 0x1f;
		} else if ((c & 0xf0) == 0xe0) {
			more = 2;
			point = c & 0x0f;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			point = c & 0x07;
		} else {
			return false;
		}
		if (len - i < (size_t)more)
			return false;
		for (int k = 0; k < more; k++, i++) {
			if ((s[i] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (s[i] & 0x3f);
		}
		if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
		        (point >= 0xd800 && point <= 0xdfff))
			return false;
	}
	return true;
}

bool text_is_label(const char *s, bool underscore)
{
	size_t len = strlen(s);

	if (len < 1 || len > 63 || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-' ||
		            (underscore && *s == '_')))
			return false;
	return true;
}

bool text_glob(const char *glob, const char *s)
{
	const char *star = NULL;
	const char *retry = NULL;

	while (*s) {
		if (*glob == '*') {
			star = ++glob;
			retry = s;
		} else if (*glob == '?' || *glob == *s) {
			glob++;
			s++;
		} else if (star) {
			glob = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

void text_copy(char *out, size_t cap, const char *s)
{
	size_t len = strnlen(s, cap - 1);

	memcpy(out, s, len);
	out[len] = '\0';
}

/* Digits with up to three decimals as thousandths; moves *s past them. Refuses what would overflow. */
static bool decimal_milli(const char **s, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;
	int places = 0;
	bool any = false;

	for (; *p >= '0' && *p <= '9'; p++, any = true) {
		if (v > 1000000000000000ULL)
			return false;
		v = v * 10 + (uint64_t)(*p - '0');
	}
	v *= 1000;
	if (any && *p == '.') {
		uint64_t unit = 100;

		for (p++; *p >= '0' && *p <= '9'; p++, places++) {
			if (places >= 3 && *p != '0')
				return false;
			v += unit * (uint64_t)(*p - '0');
			unit /= 10;
		}
		if (!places)
			return false;
	}
	*s = p;
	*out = v;
	return any;
}

bool text_duration(const char *s, int64_t *ms)
{
	static const struct {
		const char *name;
		int64_t us;
	} units[] = {
	        {"ms", 1000}, {"us", 1}, {"d", 86400000000}, {"h", 3600000000}, {"m", 60000000}, {"s", 1000000}};
	int64_t total_us = 0;

	if (!*s)
		return false;
	while (*s) {
		uint64_t milli;
		size_t u;

		if (!decimal_milli(&s, &milli))
			return false;
		for (u = 0; u < ARRAY_LEN(units); u++)
			if (!strncmp(s, units[u].name, strlen(units[u].name)))
				break;
		if (u == ARRAY_LEN(units))
			return false;
		if (milli > (uint64_t)(INT64_MAX / 4) / (uint64_t)units[u].us)
			return false;
		total_us += (int64_t)(milli * (uint64_t)units[u].us / 1000);
		if (total_us > INT64_MAX / 4)
			return false;
		s += strlen(units[u].name);
	}
	*ms = total_us / 1000;
	return true;
}

bool text_size(const char *s, uint64_t *bytes)
{
	uint64_t milli;
	uint64_t unit = 1;
	char c;

	if (!decimal_milli(&s, &milli))
		return false;
	c = (char)(*s >= 'A' && *s <= 'Z' ? *s + 32 : *s);
	if (c == 'k')
		unit = 1ULL << 10;
	else if (c == 'm')
		unit = 1ULL << 20;
	else if (c == 'g')
		unit = 1ULL << 30;
	else if (c == 't')
		unit = 1ULL << 40;
	if (unit > 1)
		s++;
	if (*s == 'b' || *s == 'B')
		s++;
	if (*s || milli > UINT64_MAX / unit)
		return false;
	*bytes = milli * unit / 1000;
	return true;
}

bool text_milli(const char *s, uint64_t *milli)
{
	return decimal_milli(&s, milli) && !*s;
}

bool text_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		uint64_t d = (uint64_t)(*s - '0');

		if (*s < '0' || *s > '9' || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

void text_time(char out[25], wall_ms t)
{
	time_t secs = (time_t)(t / 1000);
	struct tm tm;
	char date[64];

	gmtime_r(&secs, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 25, "%.19s.%03uZ", date, (unsigned)(t % 1000) % 1000);
}

bool text_time_parse(const char *s, wall_ms *out)
{
	char again[25];
	struct tm tm = {0};
	unsigned ms;

	if (strlen(s) != 24 || sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d.%3uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
	                               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = (wall_ms)timegm(&tm) * 1000 + ms;
	/* Whatever sscanf and timegm let pass (signs, month 13) does not print the same again. */
	text_time(again, *out);
	return !strcmp(again, s);
}
