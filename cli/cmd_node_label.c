/* starling node label PEER KEY=VALUE... KEY-...: labels for constraints, spreading and wishes, without a restart. */
#include "cli/setting.h"
#include "cli/undo.h"

#include "base/text.h"

const struct cli_option cmd_node_label_options[] = {{0}};

struct labels {
	size_t n;
	struct kv list[FACTS_LABELS_MAX]; /* sorted by key; a value of NULL takes the peer's own label away */
};

static int put(struct labels *l, const char *key, const char *value, struct err *err)
{
	size_t at = 0;
	int order = 1;

	while (at < l->n && (order = strcmp(l->list[at].key, key)) < 0)
		at++;
	if (at < l->n && order == 0) {
		l->list[at].value = value;
		return 0;
	}
	if (l->n == FACTS_LABELS_MAX)
		return err_set(err, ERR_USAGE, "more than %d labels; take some away with KEY-", FACTS_LABELS_MAX);
	memmove(&l->list[at + 1], &l->list[at], (l->n - at) * sizeof(l->list[0]));
	l->list[at] = (struct kv){key, value};
	l->n++;
	return 0;
}

/* KEY=VALUE sets, KEY- takes away, as kubectl writes it. */
static int take(struct labels *l, const char *text, struct arena *arena, struct err *err)
{
	const char *eq = strchr(text, '=');
	size_t len = strlen(text);
	size_t key_len = eq ? (size_t)(eq - text) : len - (len > 0);

	if (!key_len || (!eq && text[len - 1] != '-'))
		return err_set(
		        err, ERR_USAGE, "%.80s: write KEY=VALUE to set a label, KEY- to take it away", text);
	if (key_len > SETTING_LABEL_MAX || (eq && strlen(eq + 1) > SETTING_LABEL_MAX))
		return err_set(err, ERR_USAGE, "%.40s...: a label's key and value have at most %d bytes each",
		        text, SETTING_LABEL_MAX);
	if (!text_is_utf8(text, len))
		return err_set(err, ERR_USAGE, "a label is not valid UTF-8");
	return put(l, arena_strndup(arena, text, key_len), eq ? eq + 1 : NULL, err);
}

static size_t key_len(const char *text)
{
	const char *eq = strchr(text, '=');

	return eq ? (size_t)(eq - text) : strlen(text) - (*text != 0);
}

/* zone=a zone=b, or zone=a zone-: which of them is meant is anybody's guess. */
static int check_once(const struct cli *cli, struct err *err)
{
	for (unsigned i = 1; i < cli->n_args; i++)
		for (unsigned k = 1; k < i; k++)
			if (key_len(cli->args[i]) == key_len(cli->args[k]) &&
			        memcmp(cli->args[i], cli->args[k], key_len(cli->args[i])) == 0)
				return err_set(err, ERR_USAGE, "label %.*s stands twice: %.80s and %.80s",
				        (int)MIN(key_len(cli->args[i]), (size_t)80), cli->args[i], cli->args[k],
				        cli->args[i]);
	return 0;
}

/* A label that is to be taken away and is not there is most likely a slip of the keyboard. */
static void warn_of_absent(const struct cli *cli, const json_t *peer)
{
	const json_t *labels = json_object_get(peer, "labels");

	for (unsigned i = 1; i < cli->n_args; i++) {
		const char *text = cli->args[i];
		char key[SETTING_LABEL_MAX + 1];

		if (strchr(text, '=') || key_len(text) > SETTING_LABEL_MAX)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)key_len(text), text);
		if (!json_object_get(labels, key))
			cli_warn(cli, "peer %s has no label %s", json_string_value(json_object_get(peer, "name")),
			        key);
	}
}

static int set_labels(
        struct cli *cli, struct client *c, const char *id_text, struct arena *arena, struct err *err)
{
	char name[RECORD_NAME_MAX + 1];
	struct labels l = {0};
	struct setting now;
	struct kv *have;
	struct wr body;
	size_t n = 0;
	id64 id = 0;
	int rc = 0;

	if (!id64_parse(&id, id_text))
		return err_set(err, ERR_FAILED, "the agent's answer cannot be read");
	setting_name(name, SETTING_LABELS, id);
	if (setting_get(c, name, &now, err) < 0 ||
	        (now.exists && labels_decode(&have, &n, arena, now.body, now.body_len, err) < 0))
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = put(&l, have[i].key, have[i].value, err);
	for (unsigned i = 1; i < cli->n_args && rc == 0; i++)
		rc = take(&l, cli->args[i], arena, err);
	if (rc < 0)
		return rc;
	wr_init(&body, SETTING_BYTES_MAX);
	labels_encode(&body, l.list, l.n);
	if (now.exists && wr_ok(&body) && body.len == now.body_len && memcmp(body.p, now.body, body.len) == 0)
		cli_say(cli, "nothing changed");
	else
		rc = setting_submit(cli, c, &now, &body, err);
	wr_free(&body);
	return rc;
}

int cmd_node_label(struct cli *cli)
{
	struct err err = {0};
	struct client *c = check_once(cli, &err) < 0 ? NULL : client_open(cli, &err);
	json_t *row = c ? node_find(c, cli->args[0], &err) : NULL;
	struct arena arena;
	int rc = -1;

	arena_init(&arena);
	if (row)
		rc = set_labels(cli, c, json_string_value(json_object_get(row, "id")), &arena, &err);
	if (rc == 0)
		warn_of_absent(cli, row);
	json_decref(row);
	client_close(c);
	arena_free(&arena);
	return rc < 0 ? cli_fail(cli, &err) : 0;
}
