#include "node/runtime/engine_answer.h"

#include "base/text.h"

#include <jansson.h>
#include <stdio.h>

static json_t *load(const char *bytes, size_t len, struct err *err)
{
	json_error_t e;
	json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &e);

	if (root && json_is_object(root))
		return root;
	err_set(err, ERR_FAILED, "the engine's answer cannot be read: %.100s", root ? "no object" : e.text);
	json_decref(root);
	return NULL;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t number_of(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* One line, whole characters. jansson lets through valid UTF-8 only; other bytes come from bare bodies. */
static void copy_line(char *out, size_t cap, const char *s, size_t len)
{
	size_t at = 0;

	while (len && (s[len - 1] == '\n' || s[len - 1] == ' '))
		len--;
	for (; at < len && at + 1 < cap; at++)
		out[at] = (unsigned char)s[at] < ' ' ? ' ' : s[at];
	out[at] = '\0';
	while (at && !text_is_utf8(out, at))
		out[--at] = '\0';
}

static bool is_id(const char *s)
{
	size_t len = strspn(s, "0123456789abcdef");

	return len && !s[len] && len <= ENGINE_ID_MAX;
}

static int take_id(char out[ENGINE_ID_MAX + 1], const json_t *o, const char *key, struct err *err)
{
	const char *id = text_of(o, key);

	if (!is_id(id))
		return err_set(err, ERR_FAILED, "the engine's answer has no valid \"%s\"", key);
	text_copy(out, ENGINE_ID_MAX + 1, id);
	return 0;
}

/* ---- time ---- */

static bool digits(const char *s, size_t n, int64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		*out = *out * 10 + (s[i] - '0');
	}
	return true;
}

/* Days from 1970-01-01 to that day of the Gregorian calendar, by counting years from March. */
static int64_t days_since_1970(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	m += m <= 2 ? 9 : -3;
	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719468;
}

/* "Z", "+02:00"; seconds to take off. */
static bool offset(const char *s, size_t len, int64_t *seconds, size_t *used)
{
	int64_t h, m;

	if (len && s[0] == 'Z') {
		*seconds = 0;
		*used = 1;
		return true;
	}
	if (len < 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':' || !digits(s + 1, 2, &h) ||
	        !digits(s + 4, 2, &m))
		return false;
	*seconds = (h * 3600 + m * 60) * (s[0] == '-' ? -1 : 1);
	*used = 6;
	return true;
}

wall_ms engine_time(const char *s, size_t len, size_t *used)
{
	int64_t y, mo, d, h, mi, sec, ms = 0, shift;
	size_t at = 19, more;
	int scale = 100;
	wall_ms t;

	if (len < 20 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' ||
	        !digits(s, 4, &y) || !digits(s + 5, 2, &mo) || !digits(s + 8, 2, &d) || !digits(s + 11, 2, &h) ||
	        !digits(s + 14, 2, &mi) || !digits(s + 17, 2, &sec) || !mo || mo > 12 || !d || d > 31)
		return 0;
	if (s[at] == '.')
		for (at++; at < len && s[at] >= '0' && s[at] <= '9'; at++, scale /= 10)
			ms += (s[at] - '0') * scale;
	if (!offset(s + at, len - at, &shift, &more))
		return 0;
	if (used)
		*used = at + more;
	t = ((days_since_1970(y, mo, d) * 24 + h) * 60 + mi) * 60 + sec - shift;
	return t > 0 ? t * 1000 + ms : 0;
}

static wall_ms time_of(const json_t *o, const char *key)
{
	const char *s = text_of(o, key);

	return engine_time(s, strlen(s), NULL);
}

/* ---- answers ---- */

static int read_status(enum engine_status *out, const char *status, struct err *err)
{
	static const struct {
		const char *name;
		enum engine_status status;
	} known[] = {
	        {"created", ENGINE_CREATED},
	        {"configured", ENGINE_CREATED},
	        {"initialized", ENGINE_CREATED},
	        {"running", ENGINE_RUNNING},
	        {"paused", ENGINE_RUNNING},
	        {"restarting", ENGINE_RUNNING},
	        {"stopping", ENGINE_RUNNING},
	        {"exited", ENGINE_EXITED},
	        {"stopped", ENGINE_EXITED},
	        {"dead", ENGINE_EXITED},
	        {"removing", ENGINE_EXITED},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(status, known[i].name) == 0) {
			*out = known[i].status;
			return 0;
		}
	return err_set(err, ERR_FAILED, "the engine says that a container is \"%.40s\", which means nothing here",
	        status);
}

int answer_state(struct engine_state *out, const char *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, err);
	const json_t *state = json_object_get(root, "State");
	const char *error = text_of(state, "Error");
	int rc;

	*out = (struct engine_state){0};
	rc = root ? take_id(out->id, root, "Id", err) : -1;
	if (rc == 0)
		rc = read_status(&out->status, text_of(state, "Status"), err);
	out->pid = MIN(MAX(number_of(state, "Pid"), 0), INT32_MAX);
	out->exit_code = (int)(number_of(state, "ExitCode") & 0xff);
	out->oom = json_is_true(json_object_get(state, "OOMKilled"));
	out->started = time_of(state, "StartedAt");
	out->ended = time_of(state, "FinishedAt");
	copy_line(out->error, sizeof(out->error), error, strlen(error));
	json_decref(root);
	return rc;
}

/* "1.41" -> 41; 0: not of 1.x. */
static unsigned minor(const char *version)
{
	uint64_t n;

	return strncmp(version, "1.", 2) == 0 && text_u64(version + 2, 0, 9999, &n) ? (unsigned)n : 0;
}

int answer_version(struct engine_version *out, const char *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, err);
	const json_t *parts = json_object_get(root, "Components");
	int rc = root ? 0 : -1;

	*out = (struct engine_version){0};
	out->api_minor = minor(text_of(root, "ApiVersion"));
	out->api_least = minor(text_of(root, "MinAPIVersion"));
	for (size_t i = 0; i < json_array_size(parts); i++)
		out->podman |= strstr(text_of(json_array_get(parts, i), "Name"), "Podman") != NULL;
	if (root && !out->api_minor)
		rc = err_set(err, ERR_FAILED, "the engine does not say which API it speaks");
	json_decref(root);
	return rc;
}

void answer_message(char out[ENGINE_TEXT_MAX + 1], int status, const char *bytes, size_t len)
{
	json_t *root = load(bytes, len, NULL);
	const char *text = text_of(root, "message");

	if (*text)
		copy_line(out, ENGINE_TEXT_MAX + 1, text, strlen(text));
	else
		copy_line(out, ENGINE_TEXT_MAX + 1, bytes, len);
	if (!out[0])
		snprintf(out, ENGINE_TEXT_MAX + 1, "the engine answers %d", status);
	json_decref(root);
}

static void read_labels(const json_t *labels, id64 *task, uint32_t *run)
{
	uint64_t n = 0;

	*task = 0;
	if (!id64_parse(task, text_of(labels, LABEL_TASK)) ||
	        !text_u64(text_of(labels, LABEL_RUN), 0, UINT32_MAX, &n))
		*task = 0;
	*run = (uint32_t)n;
}

int answer_event(struct engine_event *out, const char *line, size_t len, struct err *err)
{
	json_t *root = load(line, len, err);
	const char *action = text_of(root, "Action");

	*out = (struct engine_event){0};
	if (!root)
		return -1;
	/* Podman's own words are "died" and "cleanup". */
	out->ended = strcmp(action, "die") == 0 || strcmp(action, "died") == 0 || strcmp(action, "destroy") == 0;
	out->oom = strcmp(action, "oom") == 0;
	read_labels(json_object_get(json_object_get(root, "Actor"), "Attributes"), &out->task, &out->run);
	json_decref(root);
	return 0;
}

int answer_pull(struct engine_pull *out, const char *line, size_t len, struct err *err)
{
	json_t *root = load(line, len, err);
	const json_t *detail = json_object_get(root, "progressDetail");
	const char *error = text_of(root, "error");

	*out = (struct engine_pull){0};
	if (!root)
		return -1;
	copy_line(out->error, sizeof(out->error), error, strlen(error));
	copy_line(out->status, sizeof(out->status), text_of(root, "status"), strlen(text_of(root, "status")));
	text_copy(out->layer, sizeof(out->layer), text_of(root, "id"));
	out->done = (uint64_t)MAX(number_of(detail, "current"), 0);
	out->total = (uint64_t)MAX(number_of(detail, "total"), 0);
	json_decref(root);
	return 0;
}

int answer_list(const char *bytes, size_t len, answer_container_fn *fn, void *ctx, struct err *err)
{
	json_error_t e;
	json_t *root = json_loadb(bytes, len, 0, &e);

	if (!json_is_array(root)) {
		json_decref(root);
		return err_set(
		        err, ERR_FAILED, "the engine's list cannot be read: %.100s", root ? "no list" : e.text);
	}
	for (size_t i = 0; i < json_array_size(root); i++) {
		const json_t *c = json_array_get(root, i);
		const char *id = text_of(c, "Id");
		uint32_t run;
		id64 task;

		read_labels(json_object_get(c, "Labels"), &task, &run);
		if (task && is_id(id))
			fn(ctx, id, task, run);
	}
	json_decref(root);
	return 0;
}

int answer_exec(struct engine_exec *out, const char *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, err);

	*out = (struct engine_exec){0};
	if (!root)
		return -1;
	out->running = json_is_true(json_object_get(root, "Running"));
	out->exit_code = (int)(number_of(root, "ExitCode") & 0xff);
	out->pid = MIN(MAX(number_of(root, "Pid"), 0), INT32_MAX);
	json_decref(root);
	return 0;
}

int answer_id(char out[ENGINE_ID_MAX + 1], const char *bytes, size_t len, struct err *err)
{
	json_t *root = load(bytes, len, err);
	int rc = root ? take_id(out, root, "Id", err) : -1;

	json_decref(root);
	return rc;
}
