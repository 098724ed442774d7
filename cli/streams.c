#include "cli/streams.h"

#include "base/text.h"

#include <poll.h>

static void lost(struct streams *s, const char *name, const struct err *err)
{
	/* Every peer says the same of a key: once is enough. */
	if (err->code == ERR_UNAUTHORISED && s->unauthorised++)
		return;
	if (err->code != ERR_UNAUTHORISED)
		s->unreachable++;
	if (strncmp(err->text, "peer ", 5) == 0 || err->code == ERR_UNAUTHORISED)
		cli_warn(s->cli, "%s", err->text);
	else
		cli_warn(s->cli, "peer %s: %s", name, err->text);
}

static struct stream *find(struct streams *s, const char *id)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->all[i]->id, id) == 0)
			return s->all[i];
	return NULL;
}

void streams_add(struct streams *s, const char *id, const char *name)
{
	struct stream *one = find(s, id);
	struct err err = {0};

	if (one && one->c)
		return;
	if (!one && s->n == STREAMS_MAX) {
		err_set(&err, ERR_FAILED, "not asked: %d others are, and more at once cannot be", STREAMS_MAX);
		lost(s, name, &err);
		return;
	}
	if (!one) {
		one = xcalloc(1, sizeof(*one));
		text_copy(one->id, sizeof(one->id), id);
		text_copy(one->name, sizeof(one->name), name);
		s->all[s->n++] = one;
	}
	one->live = one->have = false;
	one->c = client_open_through(s->cli, id, name, s->own, &err);
	if (one->c && s->ask(s, one, &err) == 0)
		return;
	lost(s, name, &err);
	client_close(one->c);
	one->c = NULL;
}

static void end(struct stream *one)
{
	client_close(one->c);
	one->c = NULL;
	one->have = false;
}

/* Looks whether its next item is there. */
static void look(struct streams *s, struct stream *one)
{
	while (one->c && !one->have) {
		struct err err = {0};
		bool live = false;
		wall_ms at = 0;
		int got = client_next(one->c, 0, &one->item, &err);

		if (got == 0)
			return;
		if (got > 0 && one->item.kind == REPLY_ITEM &&
		        s->read(one->item.value, one->item.value_len, &at, &live) == 0) {
			one->live |= live;
			one->at = live ? one->at : at;
			one->have = !live;
			one->heard |= one->have;
			continue;
		}
		if (got > 0 && one->item.kind == REPLY_ERROR)
			err = one->item.error;
		else if (got > 0 && one->item.kind != REPLY_END)
			err_set(&err, ERR_FAILED, "its answer cannot be read; is it of another version?");
		if (err.code)
			lost(s, one->name, &err);
		end(one);
	}
}

struct stream *streams_next(struct streams *s, bool *over)
{
	struct stream *first = NULL;
	bool wait = false;

	*over = true;
	for (size_t i = 0; i < s->n; i++) {
		struct stream *one = s->all[i];

		look(s, one);
		*over &= !one->c;
		/* What it will say of the past may be older than all that is here. */
		wait |= one->c && !one->have && !one->live;
		if (one->have && (!first || one->at < first->at))
			first = one;
	}
	return wait ? NULL : first;
}

void streams_take(struct stream *one)
{
	one->have = false;
}

void streams_wait(const struct streams *s, int also, int64_t ms)
{
	struct pollfd fds[STREAMS_MAX + 1];
	nfds_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->all[i]->c && !s->all[i]->have)
			fds[n++] = (struct pollfd){.fd = client_fd(s->all[i]->c), .events = POLLIN};
	if (also >= 0)
		fds[n++] = (struct pollfd){.fd = also, .events = POLLIN};
	poll(fds, n, ms < 0 ? -1 : (int)MIN(ms, (int64_t)INT32_MAX));
}

bool streams_give_up(struct streams *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		struct stream *one = s->all[i];
		struct err err;

		if (!one->c || one->have || one->live)
			continue;
		err_set(&err, ERR_TIMEOUT, "did not answer in time");
		lost(s, one->name, &err);
		end(one);
		any = true;
	}
	return any;
}

void streams_close(struct streams *s)
{
	for (size_t i = 0; i < s->n; i++) {
		end(s->all[i]);
		free(s->all[i]);
	}
	s->n = 0;
}

int streams_code(const struct streams *s)
{
	return s->unauthorised ? ERR_UNAUTHORISED : s->unreachable ? ERR_PARTIAL : 0;
}
