/* starling node drain PEER, node resume PEER: a peer that gets nothing new and hands over what it runs, and back. */
#include "cli/drain.h"
#include "cli/setting.h"
#include "cli/undo.h"

#include "base/text.h"

const struct cli_option cmd_node_drain_options[] = {{0}};
const struct cli_option cmd_node_resume_options[] = {{0}};

struct target {
	char id[17], name[NAME_MAX_BYTES * 2];
	bool draining; /* by the setting; its agent may be leaving besides */
	struct setting now;
};

/* Of settings that were made at the same time drained holds, whichever the agent shows. */
static bool may_drain(const struct target *t)
{
	return t->draining || t->now.n_heads > 1;
}

static int look_up(struct client *c, const char *name, struct target *t, struct err *err)
{
	char setting[RECORD_NAME_MAX + 1];
	json_t *row = node_find(c, name, err);
	id64 id = 0;

	if (!row)
		return -1;
	text_copy(t->id, sizeof(t->id), json_string_value(json_object_get(row, "id")));
	text_copy(t->name, sizeof(t->name), json_string_value(json_object_get(row, "name")));
	json_decref(row);
	if (!id64_parse(&id, t->id))
		return err_set(err, ERR_FAILED, "the agent's answer on peer %s cannot be read", t->name);
	setting_name(setting, SETTING_DRAIN, id);
	if (setting_get(c, setting, &t->now, err) < 0)
		return -1;
	if (t->now.exists && drain_decode(&t->draining, t->now.body, t->now.body_len, err) < 0)
		return err_wrap(err, "setting %s", setting);
	return 0;
}

static int set_drain(const struct cli *cli, struct client *c, const struct target *t, bool drain, struct err *err)
{
	struct wr body;
	int rc;

	wr_init(&body, SETTING_BYTES_MAX);
	drain_encode(&body, drain);
	rc = setting_submit(cli, c, &t->now, &body, err);
	wr_free(&body);
	return rc;
}

int cmd_node_drain(struct cli *cli)
{
	struct err err = {0};
	struct target t = {0};
	struct client *c = client_open(cli, &err);
	int rc = c ? look_up(c, cli->args[0], &t, &err) : -1;

	if (rc == 0 && t.draining && t.now.n_heads == 1)
		cli_say(cli, "peer %s drains already%s%s", t.name, *t.now.author_name ? ", by " : "",
		        t.now.author_name);
	else if (rc == 0)
		rc = set_drain(cli, c, &t, true, &err);
	client_close(c);
	if (rc < 0)
		return cli_fail(cli, &err);
	return cli->detach ? 0 : drain_wait(cli, t.id, t.name);
}

int cmd_node_resume(struct cli *cli)
{
	struct err err = {0};
	struct target t = {0};
	struct client *c = client_open(cli, &err);
	int rc = c ? look_up(c, cli->args[0], &t, &err) : -1;

	if (rc == 0 && may_drain(&t))
		rc = set_drain(cli, c, &t, false, &err);
	client_close(c);
	if (rc < 0)
		return cli_fail(cli, &err);
	if (may_drain(&t))
		cli_say(cli, "peer %s takes tasks again; what it handed over stays where it is", t.name);
	else
		cli_say(cli, "peer %s is not drained; nothing to do", t.name);
	return 0;
}
