/* Intrusive doubly linked list with a sentinel head; the owner of the elements frees them. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/types.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *item)
{
	item->next = at;
	item->prev = at->prev;
	at->prev->next = item;
	at->prev = item;
}

static inline void list_push_back(struct list *l, struct list *item)
{
	list_insert_before(l, item);
}

static inline void list_push_front(struct list *l, struct list *item)
{
	list_insert_before(l->next, item);
}

/* Safe on an item that is in no list, as long as it was initialised. */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(item, type, member) container_of(item, type, member)

/* The current element may be removed and freed in the body. */
#define list_each(l, item)                                                                                       \
	for (struct list *item = (l)->next, *item##_next = item->next; item != (l);                              \
	        item = item##_next, item##_next = item->next)

#endif
