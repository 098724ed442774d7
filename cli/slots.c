#include "cli/slots.h"

#include "base/hash.h"
#include "placement/place.h"

static const char *text(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

static bool of_revision(const json_t *row, const char *revision)
{
	return strcmp(text(row, "revision"), revision) == 0;
}

static bool has_task(const json_t *row)
{
	return json_is_string(json_object_get(row, "task"));
}

static bool runs(const json_t *row)
{
	return has_task(row) &&
	       (strcmp(text(row, "state"), "running") == 0 || strcmp(text(row, "state"), "unhealthy") == 0);
}

/* A task without a check is healthy once it runs (DESIGN section 8). One that is done will not run again. */
static bool settled(const json_t *row)
{
	const char *health = text(row, "health");

	if (!has_task(row))
		return false;
	if (strcmp(text(row, "state"), "done") == 0)
		return true;
	return strcmp(text(row, "state"), "running") == 0 &&
	       (strcmp(health, "none") == 0 || strcmp(health, "healthy") == 0);
}

static enum slots_fit fit_of(json_int_t reason)
{
	switch (reason) {
	case REASON_OK:
	case REASON_MAKING_ROOM:
		return FIT_SOMEWHERE;
	case REASON_POWER:
		return FIT_WITHOUT_POWER;
	case REASON_FEATURE:
	case REASON_PLATFORM:
	case REASON_DRIVER:
	case REASON_CONSTRAINT:
	case REASON_CAPACITY:
	case REASON_DEVICE:
	case REASON_VOTERS:
		return FIT_NOWHERE;
	default:
		return FIT_NOWHERE_NOW;
	}
}

enum slots_fit slots_fit(const json_t *items)
{
	enum slots_fit best = FIT_WITHOUT_POWER;
	bool any = false;
	size_t i;
	size_t k;
	const json_t *item;
	const json_t *p;

	json_array_foreach (items, i, item) {
		if (json_is_string(json_object_get(item, "owner")) ||
		        json_array_size(json_object_get(item, "candidates")))
			return FIT_SOMEWHERE;
		json_array_foreach (json_object_get(item, "peers"), k, p) {
			enum slots_fit fit = fit_of(json_integer_value(json_object_get(p, "number")));

			/* A peer that can take it and is no candidate will be one at the next look. */
			best = MIN(best, fit);
			any = true;
		}
	}
	return any ? best : FIT_SOMEWHERE;
}

bool slots_row_lags(const json_t *row, const char *revision)
{
	return of_revision(row, revision) && !settled(row);
}

/* Bits of one slot: a slot may have two rows, the old task that stops and the new one. */
#define SLOT_SEEN    1
#define SLOT_RUNS    2
#define SLOT_SETTLED 4

static void count_service(
        struct slots *out, struct slots_service *s, const char *revision, const json_t *rows, struct arena *arena)
{
	bool global = s->service->mode == MODE_GLOBAL;
	uint8_t *slot = arena_alloc(arena, (size_t)s->service->replicas + 1);
	size_t i;
	const json_t *row;

	s->desired = global ? 0 : s->service->replicas;
	json_array_foreach (rows, i, row) {
		json_int_t index = json_integer_value(json_object_get(row, "slot"));
		bool ours = of_revision(row, revision);
		uint8_t bits;

		if (strcmp(text(row, "service"), s->service->name) != 0)
			continue;
		/* One row per peer: a slot of a global service has no number of its own. */
		if (global) {
			s->desired++;
			s->running += ours && runs(row);
			s->settled += ours && settled(row);
		} else if (ours && index >= 0 && index < s->service->replicas) {
			bits = (uint8_t)(SLOT_SEEN | (runs(row) ? SLOT_RUNS : 0) |
			                 (settled(row) ? SLOT_SETTLED : 0));
			s->running += (bits & ~slot[index] & SLOT_RUNS) != 0;
			s->settled += (bits & ~slot[index] & SLOT_SETTLED) != 0;
			slot[index] |= bits;
		}
		if (!ours)
			continue;
		out->seen++;
		out->unplaced += !has_task(row);
		out->failed += strcmp(text(row, "state"), "failed") == 0;
	}
}

void slots_count(
        struct slots *out, const struct spec *spec, const char *revision, const json_t *rows, struct arena *arena)
{
	static const uint8_t no_secret[16];
	uint32_t numbers[3];

	memset(out, 0, sizeof(*out));
	out->n = spec->n_services;
	out->services = arena_array(arena, out->n, sizeof(*out->services));
	out->done = true;
	for (size_t i = 0; i < out->n; i++) {
		struct slots_service *s = &out->services[i];

		s->service = &spec->services[i];
		count_service(out, s, revision, rows, arena);
		/* A global service that fits no peer shows no rows: it is for the caller to say so. */
		if (s->settled < s->desired || (s->service->mode == MODE_GLOBAL && !s->desired))
			out->done = false;
		numbers[0] = s->desired;
		numbers[1] = s->running;
		numbers[2] = s->settled;
		out->fingerprint = out->fingerprint * 31 + siphash(no_secret, numbers, sizeof(numbers));
	}
}
