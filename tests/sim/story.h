/*
 * A story: a flock, what happens to it, and what must hold. It reads as one:
 *
 *	SIM(crash_is_seen_by_all, .peers = 5)
 *	{
 *		sim_crash(s, 2);
 *		WAIT(s, SECONDS(30), sim_all_say(s, 2, MEMBER_DEAD));
 *	}
 *
 * A failure prints story and seed; `make sim SEED=n STORY=name` replays it. See docs/simulator.md.
 */
#ifndef TESTS_SIM_STORY_H
#define TESTS_SIM_STORY_H

#include "tests/sim/sim.h"

struct sim_story {
	const char *name;
	struct sim_options opt;
	void (*run)(struct sim *s);
	struct sim_story *next;
	unsigned runs, failures; /* so far */
};
void sim_register(struct sim_story *story);

#define SIM(story_name, ...)                                                                                     \
	static void story_##story_name(struct sim *s);                                                           \
	__attribute__((constructor)) static void register_##story_name(void)                                     \
	{                                                                                                        \
		static struct sim_story story = {                                                                \
		        .name = #story_name, .opt = {__VA_ARGS__}, .run = story_##story_name};                   \
		sim_register(&story);                                                                            \
	}                                                                                                        \
	static void story_##story_name(struct sim *s)

#endif
