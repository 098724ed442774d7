/* Writing a revision of a stack: what stands at its head, what follows from it, signed by the operator. */
#ifndef CLI_REVISION_H
#define CLI_REVISION_H

#include "cli/client.h"
#include "cli/submit.h"
#include "placement/spec/spec.h"

struct stack_head {
	bool exists, removed;
	struct key32 revision;  /* the winner among heads */
	struct key32 spec_hash; /* of its spec; zero for a removal */
	uint64_t stamp;         /* for the next record */
	size_t n_heads, n_author_heads;
	size_t n_adopted; /* of the heads, the last ones, that do not count: the next revision takes their place too */
	struct key32 heads[RECORD_REFS_MAX];
	struct key32 author_heads[RECORD_REFS_MAX];
	char lost[512]; /* names of peers out of reach that may run tasks of it, "p1, p2" */
	/* Of the revision that was asked for, else of the winner. */
	struct key32 asked;
	struct key32 author; /* whose it is */
	char author_name[NAME_MAX_BYTES];
	uint32_t author_powers; /* POWER_* that stand behind it */
	bool counts;
	bool have_spec; /* it is here, signed by author: checked against the flock's id, not taken from the agent */
	struct spec spec;
};

/* Asks the agent, signed with the operator's key: specs are not for everyone. author: whose next record it will be,
 * NULL for reading only. Memory is arena's. What the agent says is a revision of the stack has to be one: right name, hash and
 * signature. */
int stack_head_get(struct client *c, const char *stack, const struct key32 *author, struct arena *arena,
        struct stack_head *out, struct err *err);
/* The same with another revision's spec, whose id begins with these hex digits. */
int stack_revision_get(struct client *c, const char *stack, const char *revision, const struct key32 *author,
        struct arena *arena, struct stack_head *out, struct err *err);

/* Only what any record of this author needs: stamp and author_heads. Unsigned. */
int author_heads_get(struct client *c, const struct key32 *author, struct arena *arena, struct stack_head *out,
        struct err *err);
/* Takes the record that an agent gave as the asked revision of a stack: sets have_spec, spec and author. NULL bytes: it
 * gave none. */
int stack_head_take(struct stack_head *head, const char *stack, const struct key32 *flock, const uint8_t *bytes,
        size_t len, struct arena *arena, struct err *err);
/* May this author sign the head's spec again? Not when another key wrote it and asks for powers that it lacks: they
 * would become the new author's unseen. ERR_UNAUTHORISED names service, power and author. */
int stack_head_may_resign(
        const struct stack_head *head, const char *stack, const struct key32 *author, struct err *err);

/* A service keeps the stamp of the revision that first had it, since placement goes by age; a new one takes head's. */
void revision_set_born(struct spec *spec, const struct stack_head *head);
/* Signs the next revision after head (spec NULL: a removal), hands it to the agent and says how durable it is. born of
 * services that stay is copied from the head. */
int revision_submit(struct cli *cli, struct client *c, const struct keypair *key, const char *stack,
        struct spec *spec, const struct stack_head *head, struct submitted *out, struct err *err);

#endif
