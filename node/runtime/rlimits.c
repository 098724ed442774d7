#include "node/runtime/rlimits.h"

#include <string.h>
#include <sys/resource.h>

static const struct {
	const char *name;
	int resource;
} table[] = {
        {"as", RLIMIT_AS},
        {"core", RLIMIT_CORE},
        {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},
        {"fsize", RLIMIT_FSIZE},
        {"locks", RLIMIT_LOCKS},
        {"memlock", RLIMIT_MEMLOCK},
        {"msgqueue", RLIMIT_MSGQUEUE},
        {"nice", RLIMIT_NICE},
        {"nofile", RLIMIT_NOFILE},
        {"nproc", RLIMIT_NPROC},
        {"rss", RLIMIT_RSS},
        {"rtprio", RLIMIT_RTPRIO},
        {"rttime", RLIMIT_RTTIME},
        {"sigpending", RLIMIT_SIGPENDING},
        {"stack", RLIMIT_STACK},
};

static uint64_t value(int64_t v)
{
	return v < 0 ? (uint64_t)RLIM_INFINITY : (uint64_t)v;
}

static int one(struct launch_limit *out, const struct spec_ulimit *u, bool may_raise, struct err *err)
{
	struct rlimit now;
	size_t i = 0;

	while (i < ARRAY_LEN(table) && strcmp(table[i].name, u->name) != 0)
		i++;
	if (i == ARRAY_LEN(table))
		return err_set(err, ERR_USAGE,
		        "ulimits.%s: no such limit: the names are those of setrlimit(2), as nofile", u->name);
	*out = (struct launch_limit){(uint32_t)table[i].resource, value(u->soft), value(u->hard)};
	if (out->soft > out->hard)
		return err_set(err, ERR_USAGE, "ulimits.%s: soft is above hard: lower it", u->name);
	if (!may_raise && getrlimit(table[i].resource, &now) == 0 && out->hard > (uint64_t)now.rlim_max)
		return err_set(err, ERR_UNPLACEABLE,
		        "ulimits.%s: the hard limit of this host's agent is %llu and it may not raise it "
		        "(CAP_SYS_RESOURCE); ask for no more, or start the agent with a higher one",
		        u->name, (unsigned long long)now.rlim_max);
	return 0;
}

int rlimits_of(struct launch *out, const struct service *s, bool may_raise, struct err *err)
{
	if (s->n_ulimits > LAUNCH_LIMITS_MAX)
		return err_set(err, ERR_USAGE, "ulimits: more than %d", LAUNCH_LIMITS_MAX);
	for (out->n_limits = 0; out->n_limits < s->n_ulimits; out->n_limits++)
		if (one(&out->limits[out->n_limits], &s->ulimits[out->n_limits], may_raise, err) < 0)
			return -1;
	return 0;
}
