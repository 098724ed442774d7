/*
 * Fixed clusters whose placement is pinned byte for byte in tests/golden/placement-NAME.txt, on every compiler and CPU
 * (make golden-cross). A change of the algorithm changes them on purpose: `make golden` writes them anew.
 */
#ifndef TESTS_UNIT_PLACEMENT_GOLDEN_H
#define TESTS_UNIT_PLACEMENT_GOLDEN_H

#include "tests/unit/placement/cluster.h"

/* Three equal peers, a web service of six and a worker: what `make demo` starts with. */
static void golden_three_peers(struct cluster *c)
{
	cluster_init(c, 3);
	cluster_sort(c);
	cluster_stack(c, "hello", 2);
	c->specs[0].services[0].replicas = 6;
	c->specs[0].services[1].replicas = 2;
}

/* Everything at once: unequal peers, labels, requests, ports, priorities, claims, the dead and the refused. */
static void golden_mixed(struct cluster *c)
{
	static struct spec_port port[] = {{.name = "http", .target = 80, .published = 80, .mode = PORT_HOST}};
	static struct spec_constraint ssd[] = {{"node.labels.disk", OP_EQ, "ssd"}};
	static struct kv label[] = {{"disk", "ssd"}};
	struct service *s;

	cluster_init(c, 8);
	for (size_t i = 0; i < 8; i++) {
		c->facts[i].cpu_milli = 1000 + 1000 * i;
		if (i % 3 == 0) {
			c->members[i].labels = label;
			c->members[i].n_labels = 1;
		}
	}
	cluster_sort(c);
	c->members[cluster_member(c, "p2")].state = VIEW_DEAD;
	c->members[cluster_member(c, "p5")].state = VIEW_SUSPECT;
	c->members[cluster_member(c, "p7")].draining = true;
	s = cluster_stack(c, "shop", 4)->services;
	s[0].replicas = 10;
	s[0].reserve = (struct spec_resources){.cpu_milli = 700, .memory = 1 << 30};
	s[1].replicas = 6;
	s[1].n_ports = 1;
	s[1].ports = port;
	s[2].replicas = 4;
	s[2].n_constraints = 1;
	s[2].constraints = ssd;
	s[2].max_replicas_per_node = 1;
	s[3].mode = MODE_GLOBAL;
	s = cluster_stack(c, "batch", 2)->services;
	s[0].replicas = 12;
	s[0].priority = -1;
	s[0].reserve.cpu_milli = 1000;
	s[1].priority = 5;
	s[1].replicas = 3;
	for (uint32_t i = 0; i < 8; i++)
		cluster_claim(c, slot_id(&c->view.flock, "shop", "s0", i), i, 0);
	cluster_claim(c, slot_id(&c->view.flock, "batch", "s1", 0), 0, 0)->state = TASK_REFUSED;
	c->claims[c->view.n_claims - 1].c.revision = cluster_find_stack(c, "batch")->revision_id;
}

static void golden_label(struct cluster *c, size_t member, const char *key, const char *value)
{
	struct kv *kv = arena_alloc(&c->arena, sizeof(*kv));

	*kv = (struct kv){key, value};
	c->members[member].labels = kv;
	c->members[member].n_labels = 1;
}

/* Twelve peers in three zones of unequal size: replicas spread over zones, wishes, a global service. */
static void golden_spread(struct cluster *c)
{
	static const char *const zones[] = {"a", "a", "a", "a", "a", "a", "b", "b", "b", "b", "c", "c"};
	static const char *spread[] = {"node.labels.zone", "node.hostname"};
	static struct spec_prefer wish[] = {{"node.labels.zone", OP_EQ, "b", 60}};
	struct service *s;

	cluster_init(c, 12);
	for (size_t i = 0; i < 12; i++)
		golden_label(c, i, "zone", zones[i]);
	cluster_sort(c);
	s = cluster_stack(c, "web", 3)->services;
	s[0].replicas = 10;
	s[0].n_spread = 2;
	s[0].spread = spread;
	s[0].reserve.cpu_milli = 1000;
	s[1].replicas = 7;
	s[1].n_prefer = 1;
	s[1].prefer = wish;
	s[2].mode = MODE_GLOBAL;
}

/* Devices and kept folders on some peers, and who wants them; a service for which there are no voters. */
static void golden_devices(struct cluster *c)
{
	static struct spec_generic two[] = {{"gpu", 2}}, one[] = {{"gpu", 1}};
	static const char *kept[] = {"lab/data"}, *volumes[] = {"data"};
	struct service *s;

	cluster_init(c, 6);
	for (size_t i = 0; i < 6; i++) {
		c->facts[i].n_generic = i % 2;
		c->facts[i].generic = two;
	}
	c->facts[4].n_volumes = 1;
	c->facts[4].volumes = kept;
	cluster_sort(c);
	s = cluster_stack(c, "lab", 4)->services;
	s[0].replicas = 7;
	s[0].n_generic = 1;
	s[0].generic = one;
	s[1].replicas = 2;
	s[1].n_volumes = 1;
	s[1].volumes = volumes;
	s[2].partition = PARTITION_MAJORITY;
	s[3].replicas = 4;
	s[3].reserve.memory = 3ULL << 30;
}

/* One of five peers drains: a handover is under way, one is over, the other slots are listed. */
static void golden_drain(struct cluster *c)
{
	size_t from, to;
	id64 content;

	cluster_init(c, 5);
	cluster_sort(c);
	from = cluster_member(c, "p1");
	to = cluster_member(c, "p3");
	c->members[from].draining = true;
	cluster_stack(c, "shop", 1)->services[0].replicas = 8;
	c->specs[0].services[0].reserve.cpu_milli = 900;
	content = service_content(&c->specs[0].services[0]);
	for (uint32_t i = 0; i < 6; i++) {
		id64 slot = slot_id(&c->view.flock, "shop", "s0", i);
		struct claim *claim = cluster_claim(c, slot, i < 4 ? from : to, content);

		if (i > 1)
			continue;
		claim->handover_to = c->members[to].id;
		if (i == 1)
			cluster_claim(c, slot, to, content);
	}
}

/* Four peers, nearly full: a large slot fits only when another makes room; one of high priority takes it from a lower. */
static void golden_full(struct cluster *c)
{
	struct service *s;

	cluster_init(c, 4);
	cluster_sort(c);
	s = cluster_stack(c, "old", 1)->services;
	s->replicas = 8;
	s->reserve.cpu_milli = 1500;
	for (uint32_t i = 0; i < 8; i++)
		cluster_claim(c, slot_id(&c->view.flock, "old", "s0", i), i % 4, service_content(s));
	s = cluster_stack(c, "new", 3)->services;
	s[0].reserve.cpu_milli = 2000;
	s[1].reserve.cpu_milli = 2500;
	s[1].priority = 7;
	s[2].reserve.cpu_milli = 4000;
}

/* A split has healed: conflicts of every kind. */
static void golden_conflicts(struct cluster *c)
{
	cluster_init(c, 6);
	cluster_sort(c);
	cluster_stack(c, "twice", 1)->services[0].replicas = 12;
	for (uint32_t i = 0; i < 12; i++)
		for (uint32_t k = 0; k < 3; k++) {
			struct claim *claim = cluster_claim(
			        c, slot_id(&c->view.flock, "twice", "s0", i), (i + k * 2) % 6, i % 3 == k);

			claim->sight = (enum claim_sight)((i + k) % 3);
			claim->replaces = (i >> k) & 1;
			if (i % 4 == k)
				claim->health = HEALTH_UNHEALTHY;
		}
}

static const struct golden_cluster {
	const char *name;
	void (*build)(struct cluster *c);
} golden_clusters[] = {
        {"three-peers", golden_three_peers},
        {"mixed", golden_mixed},
        {"spread", golden_spread},
        {"devices", golden_devices},
        {"drain", golden_drain},
        {"full", golden_full},
        {"conflicts", golden_conflicts},
};

#endif
