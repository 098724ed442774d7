#include "node/runtime/launch.h"

#include "base/pack.h"
#include "base/text.h"
#include "node/runtime/launch_more.h"
#include "placement/spec/spec.h"

#include <signal.h>

#define LAUNCH_VERSION 1
#define LAUNCH_FIELDS  18
/* Own variables beside the service's: STARLING_*, PORT, HOME, PATH and so on. */
#define LAUNCH_ENV_MAX  (SPEC_ENV_MAX + 64)
#define LAUNCH_ARGS_MAX (2 * SPEC_ARGS_MAX)

void launch_put_texts(struct wr *w, char *const *texts)
{
	uint32_t n = 0;

	while (texts && texts[n])
		n++;
	pk_array(w, n);
	for (uint32_t i = 0; i < n; i++)
		pk_bin(w, texts[i], strlen(texts[i]));
}

char *launch_get_text(struct rd *r, struct arena *arena)
{
	size_t len;
	const uint8_t *p = up_bin(r, &len);

	return p ? arena_strndup(arena, (const char *)p, len) : NULL;
}

char **launch_get_texts(struct rd *r, struct arena *arena, uint32_t max)
{
	uint32_t n = up_array(r);
	char **out;

	if (n > max)
		rd_fail(r, "too many texts in a launch");
	if (!rd_ok(r))
		n = 0;
	out = arena_array(arena, n + 1, sizeof(*out));
	for (uint32_t i = 0; i < n && rd_ok(r); i++)
		out[i] = launch_get_text(r, arena);
	return out;
}

static void put_optional(struct wr *w, const char *text)
{
	pk_bin(w, text ? text : "", text ? strlen(text) : 0);
}

void launch_put(struct wr *w, const struct launch *l)
{
	bool more = launch_has_more(l);

	pk_array(w, LAUNCH_FIELDS + more);
	pk_u64(w, LAUNCH_VERSION);
	pk_u64(w, l->run);
	launch_put_texts(w, l->argv);
	launch_put_texts(w, l->env);
	launch_put_texts(w, l->check);
	put_optional(w, l->cwd);
	pk_bool(w, l->set_user);
	pk_u64(w, l->uid);
	pk_u64(w, l->gid);
	pk_array(w, (uint32_t)l->n_groups);
	for (size_t i = 0; i < l->n_groups; i++)
		pk_u64(w, l->groups[i]);
	pk_array(w, (uint32_t)l->n_cgroups);
	for (size_t i = 0; i < l->n_cgroups; i++)
		pk_bin(w, l->cgroups[i], strlen(l->cgroups[i]));
	put_optional(w, l->oom_file);
	pk_u64(w, l->log_file_bytes);
	pk_u64(w, l->log_files);
	pk_u64(w, l->stop_signal);
	pk_u64(w, l->stop_grace_ms);
	pk_u64(w, l->watchdog_ms);
	pk_nil(w); /* so that a cut file never looks whole */
	if (more)
		launch_put_more(w, l);
}

static void get_lists(struct rd *r, struct launch *l, struct arena *arena)
{
	l->n_groups = up_array(r);
	if (l->n_groups > LAUNCH_GROUPS_MAX)
		rd_fail(r, "too many groups in a launch");
	for (size_t i = 0; rd_ok(r) && i < l->n_groups; i++)
		l->groups[i] = (uint32_t)up_u64(r);
	l->n_cgroups = up_array(r);
	if (l->n_cgroups > LAUNCH_CGROUPS_MAX)
		rd_fail(r, "too many cgroups in a launch");
	for (size_t i = 0; rd_ok(r) && i < l->n_cgroups; i++)
		l->cgroups[i] = launch_get_text(r, arena);
}

int launch_get(struct launch *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err)
{
	uint32_t n;
	struct rd r;

	*out = (struct launch){0};
	launch_no_more(out, arena);
	rd_init(&r, bytes, len);
	n = up_array(&r);
	if (n < LAUNCH_FIELDS || up_u64(&r) != LAUNCH_VERSION)
		rd_fail(&r, "a launch of an unknown version");
	out->run = (uint32_t)up_u64(&r);
	out->argv = launch_get_texts(&r, arena, LAUNCH_ARGS_MAX);
	out->env = launch_get_texts(&r, arena, LAUNCH_ENV_MAX);
	out->check = launch_get_texts(&r, arena, LAUNCH_ARGS_MAX);
	out->cwd = launch_get_text(&r, arena);
	out->set_user = up_bool(&r);
	out->uid = (uint32_t)up_u64(&r);
	out->gid = (uint32_t)up_u64(&r);
	get_lists(&r, out, arena);
	out->oom_file = launch_get_text(&r, arena);
	if (out->oom_file && !*out->oom_file)
		out->oom_file = NULL;
	out->log_file_bytes = up_u64(&r);
	out->log_files = (uint32_t)up_u64(&r);
	out->stop_signal = (uint8_t)up_u64(&r);
	out->stop_grace_ms = (uint32_t)up_u64(&r);
	out->watchdog_ms = (uint32_t)up_u64(&r);
	up_nil(&r);
	if (n > LAUNCH_FIELDS)
		launch_get_more(&r, out, arena);
	/* A later build's, which must mean nothing to one that does not know them. */
	for (; n > LAUNCH_FIELDS + 1 && rd_ok(&r); n--)
		up_skip(&r);
	if (rd_ok(&r) && (!out->argv[0] || !out->cwd || out->stop_signal < 1 || out->stop_signal >= NSIG))
		rd_fail(&r, "a launch without a command, folder or signal");
	return rd_end(&r, err);
}

const char *launch_step_text(enum launch_step s)
{
	static const char *const texts[STEPS] = {
	        [STEP_NONE] = "started",
	        [STEP_FORK] = "cannot make a process",
	        [STEP_STDIO] = "cannot set up its input and output",
	        [STEP_CGROUP] = "cannot enter its cgroup",
	        [STEP_GROUPS] = "cannot set its groups",
	        [STEP_GID] = "cannot change to its group",
	        [STEP_UID] = "cannot change to its user",
	        [STEP_CWD] = "cannot enter its working directory",
	        [STEP_NOT_FOUND] = "not found",
	        [STEP_EXEC] = "cannot be executed",
	        [STEP_RUNTIME] = "the container's runtime failed",
	        [STEP_VIEW] = "cannot set up its view of the file system",
	        [STEP_LIMITS] = "cannot set its limits",
	        [STEP_CAPS] = "cannot set its capabilities",
	};

	return (unsigned)s < STEPS ? texts[s] : "failed in an unknown step";
}

#define RUN_MAGIC      0x73725201u /* "srR", version */
#define EXIT_MAGIC     0x73724501u /* "srE", version */
#define WATCHDOG_MAGIC 0x73725701u /* "srW", version */
#define FAULT_MAGIC    0x73724601u /* "srF", version */
#define USAGE_MAGIC    0x73725501u /* "srU", version */

void run_put(struct wr *w, const struct run_record *r)
{
	wr_u32(w, RUN_MAGIC);
	wr_u32(w, r->run);
	wr_u32(w, r->shim_pid);
	wr_u64(w, r->shim_ticks);
	wr_u32(w, r->pid);
	wr_u64(w, r->ticks);
	wr_u64(w, (uint64_t)r->started);
}

static int run_read(struct rd *r, struct run_record *out)
{
	if (rd_u32(r) != RUN_MAGIC)
		rd_fail(r, "not a run record");
	out->run = rd_u32(r);
	out->shim_pid = rd_u32(r);
	out->shim_ticks = rd_u64(r);
	out->pid = rd_u32(r);
	out->ticks = rd_u64(r);
	out->started = (wall_ms)rd_u64(r);
	/* kill(-1) and kill(0) must never come of a damaged file. */
	if (out->pid < 2 || out->pid > INT32_MAX || out->shim_pid < 1 || out->shim_pid > INT32_MAX)
		rd_fail(r, "a run record with an impossible pid");
	return rd_ok(r) ? 0 : -1;
}

int run_get(struct run_record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	run_read(&r, out);
	return rd_end(&r, err);
}

void exit_put(struct wr *w, const struct exit_record *e)
{
	wr_u32(w, EXIT_MAGIC);
	wr_u32(w, e->run);
	wr_u8(w, (uint8_t)e->step);
	wr_u32(w, e->step_errno);
	wr_u8(w, e->signalled);
	wr_u8(w, e->code);
	wr_u8(w, e->oom);
	wr_u64(w, (uint64_t)e->started);
	wr_u64(w, (uint64_t)e->ended);
}

int exit_get(struct exit_record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	if (rd_u32(&r) != EXIT_MAGIC)
		rd_fail(&r, "not an exit record");
	out->run = rd_u32(&r);
	out->step = rd_u8(&r);
	if (out->step >= STEPS)
		rd_fail(&r, "an exit record with an unknown step");
	out->step_errno = rd_u32(&r);
	out->signalled = rd_u8(&r) != 0;
	out->code = rd_u8(&r);
	out->oom = rd_u8(&r) != 0;
	out->started = (wall_ms)rd_u64(&r);
	out->ended = (wall_ms)rd_u64(&r);
	return rd_end(&r, err);
}

void watchdog_put(struct wr *w, const struct watchdog_record *d)
{
	wr_u32(w, WATCHDOG_MAGIC);
	wr_u32(w, d->run);
	wr_u64(w, (uint64_t)d->at);
}

int watchdog_get(struct watchdog_record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	if (rd_u32(&r) != WATCHDOG_MAGIC)
		rd_fail(&r, "not a watchdog's record");
	out->run = rd_u32(&r);
	out->at = (wall_ms)rd_u64(&r);
	return rd_end(&r, err);
}

void usage_put(struct wr *w, const struct usage_record *u)
{
	wr_u32(w, USAGE_MAGIC);
	wr_u32(w, u->run);
	wr_u64(w, u->user_ms);
	wr_u64(w, u->system_ms);
	wr_u64(w, u->max_rss);
	wr_u32(w, u->oom_kills);
}

int usage_get(struct usage_record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	if (rd_u32(&r) != USAGE_MAGIC)
		rd_fail(&r, "not a record of usage");
	out->run = rd_u32(&r);
	out->user_ms = rd_u64(&r);
	out->system_ms = rd_u64(&r);
	out->max_rss = rd_u64(&r);
	out->oom_kills = rd_u32(&r);
	return rd_end(&r, err);
}

void fault_put(struct wr *w, const struct fault_record *f)
{
	wr_u32(w, FAULT_MAGIC);
	wr_u32(w, f->run);
	wr_bytes(w, f->text, strlen(f->text));
}

int fault_get(struct fault_record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	const uint8_t *text;
	struct rd r;
	size_t n;

	*out = (struct fault_record){0};
	rd_init(&r, bytes, len);
	if (rd_u32(&r) != FAULT_MAGIC)
		rd_fail(&r, "not a fault's record");
	out->run = rd_u32(&r);
	n = rd_left(&r);
	if (n > FAULT_TEXT_MAX)
		rd_fail(&r, "a fault's record that is too long");
	text = rd_bytes(&r, rd_left(&r));
	if (rd_ok(&r) && !text_is_utf8((const char *)text, n))
		rd_fail(&r, "a fault's record that is no text");
	if (rd_end(&r, err) < 0)
		return -1;
	memcpy(out->text, text, n);
	return 0;
}

size_t message_begin(struct wr *w, enum shim_message kind)
{
	size_t at = w->len;

	wr_u16(w, 0);
	wr_u8(w, (uint8_t)kind);
	return at;
}

void message_end(struct wr *w, size_t at)
{
	size_t len = w->len - at - 2;

	if (!wr_ok(w))
		return;
	w->p[at] = (uint8_t)(len >> 8);
	w->p[at + 1] = (uint8_t)len;
}

int message_take(const uint8_t *p, size_t len, enum shim_message *kind, struct rd *body)
{
	size_t n;

	if (len < 2)
		return 0;
	n = (size_t)p[0] << 8 | p[1];
	if (n < 1 || n > SHIM_MESSAGE_MAX - 2)
		return -1;
	if (len < n + 2)
		return 0;
	*kind = p[2];
	rd_init(body, p + 3, n - 1);
	return (int)(n + 2);
}
