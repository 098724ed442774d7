#include "gossip/broadcast.h"

/* Messages in one packet: the smallest takes 8 bytes. */
#define PICKS_MAX 160
/* Messages looked at for one packet, most of which are too long for the room left or were given out in this round. */
#define LOOKS_MAX 1024

struct item {
	struct list at;
	struct topic topic;
	enum broadcast_class class;
	id64 subject;
	struct item *next_same, *prev_same; /* others about the same subject */
	unsigned sends;
	size_t n_echoes;
	id64 echoes[BROADCAST_ECHOES]; /* who told us the same meanwhile */
	unsigned brief_after;
	uint64_t round; /* in which it was last given out */
	size_t len, brief_len;
	uint8_t bytes[]; /* the message, then the brief one */
};

void broadcast_init(struct broadcast *b)
{
	for (size_t c = 0; c < BROADCAST_CLASSES; c++)
		for (size_t s = 0; s <= BROADCAST_SENDS_MAX; s++)
			list_init(&b->items[c][s]);
	map_init(&b->by_topic, sizeof(struct topic), NULL);
	map_init(&b->by_subject, sizeof(id64), NULL);
	b->len = 0;
	b->shortest = SIZE_MAX;
	b->round = 1;
}

static void link_subject(struct broadcast *b, struct item *it)
{
	if (!it->subject)
		return;
	it->next_same = map_put(&b->by_subject, &it->subject, it);
	if (it->next_same)
		it->next_same->prev_same = it;
}

static void unlink_subject(struct broadcast *b, struct item *it)
{
	if (!it->subject)
		return;
	if (it->next_same)
		it->next_same->prev_same = it->prev_same;
	if (it->prev_same)
		it->prev_same->next_same = it->next_same;
	else if (it->next_same)
		map_put(&b->by_subject, &it->subject, it->next_same);
	else
		map_del(&b->by_subject, &it->subject);
}

static void drop(struct broadcast *b, struct item *it)
{
	unlink_subject(b, it);
	map_del(&b->by_topic, &it->topic);
	list_remove(&it->at);
	free(it);
	if (--b->len == 0)
		b->shortest = SIZE_MAX;
}

void broadcast_free(struct broadcast *b)
{
	for (size_t c = 0; c < BROADCAST_CLASSES; c++)
		for (size_t s = 0; s <= BROADCAST_SENDS_MAX; s++)
			list_each (&b->items[c][s], i)
				drop(b, list_entry(i, struct item, at));
	map_free(&b->by_topic);
	map_free(&b->by_subject);
}

/* The least urgent class's most often sent, oldest message makes room. */
static void make_room(struct broadcast *b)
{
	for (size_t c = BROADCAST_CLASSES; c-- > 0;)
		for (size_t s = BROADCAST_SENDS_MAX + 1; s-- > 0;)
			if (!list_empty(&b->items[c][s])) {
				drop(b, list_entry(b->items[c][s].prev, struct item, at));
				return;
			}
}

void broadcast_put(struct broadcast *b, enum broadcast_class c, const struct topic *t, id64 subject,
        const uint8_t *bytes, size_t len, const uint8_t *brief, size_t brief_len, unsigned brief_after)
{
	struct item *it;

	broadcast_drop(b, t);
	if (b->len >= BROADCAST_ITEMS_MAX)
		make_room(b);
	it = xmalloc(sizeof(*it) + len + brief_len);
	*it = (struct item){.topic = *t,
	        .class = c,
	        .subject = subject,
	        .brief_after = brief_after,
	        .len = len,
	        .brief_len = brief_len};
	memcpy(it->bytes, bytes, len);
	if (brief_len)
		memcpy(it->bytes + len, brief, brief_len);
	list_push_front(&b->items[c][0], &it->at);
	map_put(&b->by_topic, t, it);
	link_subject(b, it);
	b->len++;
	b->shortest = MIN(b->shortest, brief_len ? MIN(len, brief_len) : len);
}

void broadcast_drop(struct broadcast *b, const struct topic *t)
{
	struct item *it = map_get(&b->by_topic, t);

	if (it)
		drop(b, it);
}

void broadcast_drop_subject(struct broadcast *b, id64 subject)
{
	struct item *it;

	while ((it = map_get(&b->by_subject, &subject)))
		drop(b, it);
}

void broadcast_heard(struct broadcast *b, const struct topic *t, unsigned weight, id64 by)
{
	struct item *it = map_get(&b->by_topic, t);

	/* At least once it is passed on. */
	if (!it || !it->sends || it->n_echoes == BROADCAST_ECHOES)
		return;
	for (size_t i = 0; i < it->n_echoes; i++)
		if (it->echoes[i] == by)
			return;
	it->echoes[it->n_echoes++] = by;
	it->sends = MIN(it->sends + weight, (unsigned)BROADCAST_SENDS_MAX);
	list_remove(&it->at);
	list_push_front(&b->items[it->class][it->sends], &it->at);
}

struct picks {
	struct item *item[PICKS_MAX];
	size_t n, looks;
	size_t room;
};

/* Takes from classes [from, to) what fits, keeping `reserve` bytes free. */
static void pick(struct broadcast *b, struct picks *p, size_t from, size_t to, size_t reserve, struct wr *w)
{
	p->looks = 0;
	for (size_t c = from; c < to; c++)
		for (size_t s = 0; s <= BROADCAST_SENDS_MAX; s++)
			list_each (&b->items[c][s], i) {
				struct item *it = list_entry(i, struct item, at);
				bool brief = it->brief_len && it->sends >= it->brief_after;
				size_t len = brief ? it->brief_len : it->len;

				if (p->n == PICKS_MAX || p->room < reserve + b->shortest ||
				        ++p->looks > LOOKS_MAX)
					return;
				if (len + reserve > p->room || it->round == b->round)
					continue;
				wr_bytes(w, it->bytes + (brief ? it->len : 0), len);
				p->room -= len;
				it->round = b->round;
				p->item[p->n++] = it;
			}
}

void broadcast_round(struct broadcast *b)
{
	b->round++;
}

size_t broadcast_fill(
        struct broadcast *b, struct wr *w, size_t room, unsigned limit, unsigned copies, bool records_only)
{
	struct picks p = {.room = room};

	limit = MIN(limit, (unsigned)BROADCAST_SENDS_MAX);
	if (!records_only)
		pick(b, &p, 0, BROADCAST_RECORD, broadcast_records_pending(b) ? room / 2 : 0, w);
	pick(b, &p, BROADCAST_RECORD, BROADCAST_CLASSES, 0, w);
	if (!records_only)
		pick(b, &p, 0, BROADCAST_RECORD, 0, w);
	for (size_t i = 0; i < p.n; i++) {
		struct item *it = p.item[i];

		it->sends += copies;
		if (it->sends >= limit) {
			drop(b, it);
			continue;
		}
		list_remove(&it->at);
		list_push_front(&b->items[it->class][it->sends], &it->at);
	}
	return p.n;
}

bool broadcast_pending(const struct broadcast *b)
{
	return b->len > 0;
}

bool broadcast_records_pending(const struct broadcast *b)
{
	for (size_t s = 0; s <= BROADCAST_SENDS_MAX; s++)
		if (!list_empty(&b->items[BROADCAST_RECORD][s]))
			return true;
	return false;
}
