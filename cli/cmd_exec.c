/*
 * starling exec STACK/SERVICE[/SLOT] CMD...: a command inside a task, wherever it runs, through the one peer that the CLI
 * speaks to. What passes is inside a session between this program and the task's peer. The exit code is the command's;
 * what goes wrong on the way to it is 125.
 */
#include "cli/address.h"
#include "cli/list.h"
#include "cli/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

const struct cli_option cmd_exec_options[] = {
        {"interactive", 'i', OPT_FLAG, NULL, "pass standard input on"},
        {"tty", 't', OPT_FLAG, NULL, "on a terminal of its own, of this one's size"},
        {"env", 'e', OPT_LIST, "KEY=VALUE", "set a variable for the command; KEY alone takes it from here"},
        {"user", 'u', OPT_TEXT, "USER", "run as USER instead of the task's user; root needs that power"},
        {"workdir", 'w', OPT_TEXT, "DIR", "in DIR instead of the task's folder"},
        {0},
};

/* Exit code of whatever is not the command's own. */
#define EXIT_OURS 125
/* Bytes of input at once: less than a socket that can be written to takes without waiting. */
#define INPUT_BYTES 4096
/* Interrupts after which waiting for the command ends. */
#define INTERRUPTS_MAX 3

struct exec {
	struct cli *cli;
	struct client *c;
	bool tty, input;
	int signals;
	unsigned interrupts;
	size_t pending; /* bytes of in that were read and not sent */
	char in[INPUT_BYTES];
};

static int find_task(struct exec *x, const struct address *a, json_t **rows, const json_t **task, struct err *err)
{
	struct client *c = client_open(x->cli, err);
	struct wr args;
	const json_t *row;
	size_t i, n = 0;

	if (!c)
		return -1;
	list_args(&args, a->stack, false);
	*rows = client_list(c, "ps", &args, false, err);
	wr_free(&args);
	client_close(c);
	json_array_foreach (*rows, i, row) {
		const char *service = json_string_value(json_object_get(row, "service"));
		const char *state = json_string_value(json_object_get(row, "state"));

		if (!service || !state || strcmp(service, a->service) != 0 ||
		        (strcmp(state, "running") != 0 && strcmp(state, "unhealthy") != 0) ||
		        (a->depth == ADDRESS_SLOT && json_integer_value(json_object_get(row, "slot")) != a->slot))
			continue;
		*task = row;
		n++;
	}
	if (!*rows)
		return -1;
	if (!n)
		return err_set(
		        err, ERR_FAILED, "no task of %s runs now; see starling ps %s", x->cli->args[0], a->stack);
	if (n > 1)
		return err_set(err, ERR_FAILED, "%zu tasks of %s run; name one: %s/%s/SLOT", n, x->cli->args[0],
		        a->stack, a->service);
	return 0;
}

static void pack_env(const struct exec *x, struct wr *w)
{
	const char *term = x->tty ? getenv("TERM") : NULL;
	char text[64];
	const char *kv;
	uint32_t n = 0;

	while (cli_list(x->cli, "env", n))
		n++;
	pk_str(w, "env");
	pk_array(w, n + (term != NULL));
	if (term) {
		snprintf(text, sizeof(text), "TERM=%s", term);
		pk_str(w, text);
	}
	for (uint32_t i = 0; (kv = cli_list(x->cli, "env", i)); i++) {
		const char *value = strchr(kv, '=') ? NULL : getenv(kv);
		size_t len = strlen(kv) + (value ? strlen(value) : 0) + 2;
		cleanup_free char *full = xmalloc(len);

		snprintf(full, len, strchr(kv, '=') ? "%s" : "%s=%s", kv, value ? value : "");
		pk_str(w, full);
	}
}

static int ask(struct exec *x, const char *task, struct err *err)
{
	const char *user = cli_text(x->cli, "user");
	const char *dir = cli_text(x->cli, "workdir");
	uint16_t rows, cols;
	struct wr w;
	int ret;

	terminal_size(&rows, &cols);
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 7 + (user != NULL) + (dir != NULL));
	pk_kv_str(&w, "task", task);
	pk_str(&w, "argv");
	pk_array(&w, x->cli->n_args - 1);
	for (unsigned i = 1; i < x->cli->n_args; i++)
		pk_str(&w, x->cli->args[i]);
	pack_env(x, &w);
	pk_kv_bool(&w, "tty", x->tty);
	pk_kv_bool(&w, "input", x->input);
	pk_kv_u64(&w, "rows", rows);
	pk_kv_u64(&w, "cols", cols);
	if (user)
		pk_kv_str(&w, "user", user);
	if (dir)
		pk_kv_str(&w, "dir", dir);
	ret = client_request(x->c, "exec", &w, true, err);
	wr_free(&w);
	return ret;
}

/* One packed map to the command's side. */
static int tell(struct exec *x, struct wr *w, struct err *err)
{
	int ret = client_tell(x->c, w, err);

	wr_free(w);
	return ret;
}

static int tell_number(struct exec *x, const char *key, uint64_t number, struct err *err)
{
	struct wr w;

	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_u64(&w, key, number);
	return tell(x, &w, err);
}

static int send_input(struct exec *x, struct err *err)
{
	struct wr w;

	wr_init(&w, INPUT_BYTES + 64);
	pk_map(&w, 1);
	pk_kv_bin(&w, "in", x->in, x->pending);
	x->pending = 0;
	return tell(x, &w, err);
}

/* Reads what there is to pass on; its end is passed on as well. */
static int read_input(struct exec *x, struct err *err)
{
	ssize_t n = read(STDIN_FILENO, x->in, sizeof(x->in));
	struct wr w;

	if (n > 0)
		x->pending = (size_t)n;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return 0;
	x->input = false;
	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_bool(&w, "eof", true);
	return tell(x, &w, err);
}

/* A window of another size, or a signal: they go to the command. -1: enough of them, the command does not end. */
static int take_signal(struct exec *x, int signo, struct err *err)
{
	uint16_t rows, cols;
	struct wr w;

	if (signo == SIGWINCH) {
		terminal_size(&rows, &cols);
		wr_init(&w, 64);
		pk_map(&w, 2);
		pk_kv_u64(&w, "rows", rows);
		pk_kv_u64(&w, "cols", cols);
		return tell(x, &w, err);
	}
	if (signo == SIGHUP || (signo == SIGINT && ++x->interrupts >= INTERRUPTS_MAX))
		return err_set(err, ERR_FAILED, "ended by a signal, and the command with it");
	return tell_number(x, "signal", (uint64_t)signo, err);
}

static void write_output(FILE *to, const uint8_t *bytes, size_t len)
{
	fwrite(bytes, 1, len, to);
	fflush(to);
}

/* One part of the answer; true: the last, with the exit code. */
static bool take(struct exec *x, const struct reply *r, int *code, struct err *err)
{
	char why[300] = "";
	struct rd in;
	uint32_t n;

	if (r->kind == REPLY_ERROR) {
		*err = r->error;
		return true;
	}
	rd_init(&in, r->value, r->value_len);
	n = r->kind == REPLY_ITEM || r->kind == REPLY_END ? up_map(&in) : 0;
	for (uint32_t i = 0; i < n && rd_ok(&in); i++) {
		size_t key_len, len;
		const char *key = up_str(&in, &key_len);
		bool is_out = up_is(key, key_len, "out");

		if (is_out || up_is(key, key_len, "err")) {
			const uint8_t *bytes = up_bin(&in, &len);

			if (rd_ok(&in))
				write_output(is_out ? x->cli->out : x->cli->errors, bytes, len);
		} else if (up_is(key, key_len, "code")) {
			*code = (int)up_u64(&in);
		} else if (up_is(key, key_len, "why")) {
			up_str_copy(&in, why, sizeof(why));
		} else {
			up_skip(&in);
		}
	}
	if (rd_end(&in, err) < 0)
		return true;
	if (why[0]) {
		terminal_restore();
		fprintf(x->cli->errors, "starling exec: %.80s: %s\n", x->cli->args[1], why);
	}
	return r->kind == REPLY_END;
}

/* Until the command ends, or the connection. The exit code, -1 with err. */
static int pass_on(struct exec *x, struct err *err)
{
	int code = EXIT_OURS;

	for (;;) {
		struct pollfd p[] = {
		        {client_fd(x->c), (short)(POLLIN | (x->pending ? POLLOUT : 0)), 0},
		        {x->signals, POLLIN, 0},
		        {x->input && !x->pending ? STDIN_FILENO : -1, POLLIN, 0},
		};
		struct reply r;
		int signo, got;

		while ((got = client_next(x->c, 0, &r, err)) > 0)
			if (take(x, &r, &code, err))
				return err->code ? -1 : code;
		if (got < 0)
			return -1;
		if (ferror(x->cli->out))
			return err_set(err, ERR_FAILED, "its output cannot be written");
		if (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0)
			continue;
		while (p[1].revents && (signo = terminal_signal(x->signals)))
			if (take_signal(x, signo, err) < 0)
				return -1;
		if (x->pending && (p[0].revents & POLLOUT) && send_input(x, err) < 0)
			return -1;
		if (p[2].revents && read_input(x, err) < 0)
			return -1;
	}
}

static int run(struct exec *x, struct err *err)
{
	const json_t *task = NULL;
	json_t *rows = NULL;
	struct address a;
	const char *id, *peer, *name;
	int code = -1;

	if (address_parse(&a, x->cli->args[0], ADDRESS_SERVICE, err) == 0 &&
	        find_task(x, &a, &rows, &task, err) == 0) {
		id = json_string_value(json_object_get(task, "task"));
		peer = json_string_value(json_object_get(task, "peer"));
		name = json_string_value(json_object_get(task, "peer_name"));
		x->c = id && peer ? client_open_through(x->cli, peer, name ? name : peer, true, err) : NULL;
		x->signals = x->c ? terminal_signals(err) : -1;
		if (x->signals >= 0 && (!x->tty || terminal_raw(err) == 0) && ask(x, id, err) == 0)
			code = pass_on(x, err);
		terminal_restore();
	}
	json_decref(rows);
	client_close(x->c);
	return code;
}

int cmd_exec(struct cli *cli)
{
	struct exec x = {
	        .cli = cli, .signals = -1, .tty = cli_flag(cli, "tty"), .input = cli_flag(cli, "interactive")};
	struct err err = {0};
	int code = run(&x, &err);

	if (code >= 0)
		return code;
	cli_fail(cli, &err);
	return EXIT_OURS;
}
