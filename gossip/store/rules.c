#include "gossip/store/rules.h"

#include "base/text.h"

/* Bytes of a body that trust or a setting needs: a grant with 16 globs takes 1.2 KiB. (Evictions and revocations list
 * whom they let stay: 34 bytes for each host that joined with a token of many uses.) */
#define SMALL_BODY_BYTES_MAX 4096
/* Bytes of facts or runs: they may exceed a packet, then they travel over a stream. */
#define FACTS_BODY_BYTES_MAX 4096
/* Bytes of one record of an unknown kind, as for all those of an author together. */
#define UNKNOWN_BODY_BYTES_MAX 65536

static const struct rule rules[] = {
        [REC_GENESIS] = {MERGE_GROW, NAME_ANY, SMALL_BODY_BYTES_MAX, false, false},
        [REC_GRANT] = {MERGE_GROW, NAME_ANY, SMALL_BODY_BYTES_MAX, false, false},
        [REC_INVITE] = {MERGE_GROW, NAME_ANY, SMALL_BODY_BYTES_MAX, false, false},
        [REC_ADMISSION] = {MERGE_GROW, NAME_ANY, SMALL_BODY_BYTES_MAX, false, false},
        [REC_REVOCATION] = {MERGE_GROW, NAME_ANY, BODY_BYTES_MAX, false, false},
        [REC_EVICTION] = {MERGE_GROW, NAME_ANY, BODY_BYTES_MAX, false, false},
        [REC_SUCCESSION] = {MERGE_GROW, NAME_ANY, SMALL_BODY_BYTES_MAX, false, false},
        [REC_REVISION] = {MERGE_GRAPH, NAME_STACK, BODY_BYTES_MAX, true, false},
        [REC_SETTING] = {MERGE_GRAPH, NAME_FILLED, SMALL_BODY_BYTES_MAX, false, false},
        [REC_FACTS] = {MERGE_LATEST, NAME_EMPTY, FACTS_BODY_BYTES_MAX, false, false},
        [REC_STATUS] = {MERGE_LATEST, NAME_PAGE, PAGE_BYTES_MAX, false, false},
        [REC_RUNS] = {MERGE_LATEST, NAME_PAGE, FACTS_BODY_BYTES_MAX, false, false},
        [REC_VERDICT] = {MERGE_GROW, NAME_FILLED, PAGE_BYTES_MAX, false, false},
};

static const struct rule unknown_rule = {MERGE_GROW, NAME_ANY, UNKNOWN_BODY_BYTES_MAX, false, true};

static const char *const kind_names[] = {
        [REC_GENESIS] = "genesis",
        [REC_GRANT] = "grant",
        [REC_INVITE] = "invite",
        [REC_ADMISSION] = "admission",
        [REC_REVOCATION] = "revocation",
        [REC_EVICTION] = "eviction",
        [REC_SUCCESSION] = "succession",
        [REC_REVISION] = "stack revision",
        [REC_SETTING] = "setting",
        [REC_FACTS] = "peer facts",
        [REC_STATUS] = "status page",
        [REC_RUNS] = "run page",
        [REC_VERDICT] = "verdict",
};

const struct rule *rule_of(uint8_t kind)
{
	return kind < ARRAY_LEN(rules) && rules[kind].body_max ? &rules[kind] : &unknown_rule;
}

const char *record_kind_name(uint8_t kind)
{
	return kind < ARRAY_LEN(kind_names) && kind_names[kind] ? kind_names[kind] : "unknown";
}

static bool name_fits(enum name_form form, const char *name)
{
	uint64_t page;

	switch (form) {
	case NAME_EMPTY:
		return !*name;
	case NAME_STACK:
		return text_is_label(name, false);
	case NAME_PAGE: /* one spelling per page, or "07" would be a second page 7 */
		return !*name || (text_u64(name, 0, PAGES_MAX - 1, &page) && (name[0] != '0' || !name[1]));
	case NAME_FILLED:
		return *name;
	case NAME_ANY:
		break;
	}
	return true;
}

int rule_check(const struct record *r, struct err *err)
{
	const struct rule *rule = rule_of(r->kind);
	const char *kind = record_kind_name(r->kind);

	if (!r->kind)
		return err_set(err, ERR_USAGE, "record: kind 0 is reserved");
	if (!name_fits(rule->name, r->name))
		return err_set(err, ERR_USAGE, "record: \"%s\" cannot name a %s", r->name, kind);
	if (r->body_len > rule->body_max)
		return err_set(err, ERR_USAGE, "record: body of %u bytes in a %s, at most %u are allowed",
		        r->body_len, kind, rule->body_max);
	if (r->body_len && !r->body && !rule->apart)
		return err_set(err, ERR_USAGE, "record: a %s came without its body", kind);
	if (r->kind == REC_REVISION && !(r->flags & RECORD_FLAG_REMOVAL) != !!r->body_len)
		return err_set(err, ERR_USAGE, "record: a stack revision has a body, or removes the stack");
	return 0;
}
