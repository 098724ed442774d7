/* starling agent: reads its settings, writes its log, runs until told to stop. */
#include "cli/cli.h"

#include "base/log.h"
#include "base/text.h"
#include "node/agent.h"
#include "node/config.h"

#include <sodium.h>
#include <time.h>

const struct cli_option cmd_agent_options[] = {
        {"name", 0, OPT_TEXT, "NAME", "this peer's name, a DNS label (default: the host's name)"},
        {"bind", 0, OPT_TEXT, "ADDR[:PORT]", "where other peers reach this one (default: 0.0.0.0:7827)"},
        {"advertise", 0, OPT_TEXT, "ADDR[:PORT]", "address told to other peers, if not --bind's"},
        {"dns", 0, OPT_LIST, "ADDR[:PORT]",
                "DNS listens here, may repeat; `none` for no DNS (default: 127.78.27.53:53)"},
        {"http", 0, OPT_TEXT, "ADDR:PORT", "health and metrics; `none` for no HTTP (default: 127.0.0.1:7828)"},
        {"label", 0, OPT_LIST, "KEY=VALUE", "a label for placement constraints, may repeat"},
        {"resource", 0, OPT_LIST, "KIND=N", "devices and the like for generic_resources (gpu=2), may repeat"},
        {"reserve-cpu", 0, OPT_TEXT, "CORES", "kept back for the host and the agent (default: 0.1)"},
        {"reserve-memory", 0, OPT_TEXT, "SIZE",
                "the same of memory (default: 5%, at least 64 MiB, at most 1 GiB)"},
        {"engine-socket", 0, OPT_TEXT, "PATH",
                "of Docker or Podman; `none` for no container engine (default: the first that answers)"},
        {"profile", 0, OPT_TEXT, "lan|wan|local", "timing of failure detection (default: lan)"},
        {"log", 0, OPT_TEXT, "LEVEL", "debug, info, warn or error (default: info)"},
        {0},
};

/* One line per event on stderr: journald and Docker add what else is wanted. */
static void to_stderr(enum log_level level, const char *area, const char *text)
{
	struct timespec ts;
	char time[25];

	clock_gettime(CLOCK_REALTIME, &ts);
	text_time(time, (wall_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
	fprintf(stderr, "%s %-5s %s: %s\n", time, log_level_name(level), area, text);
}

/* Scripts wait for the single word on a line of its own. */
static void say_ready(void *ctx)
{
	(void)ctx;
	fputs("ready\n", stderr);
	fflush(stderr);
}

static size_t gather(struct cli *cli, const char *name, const char **out, size_t max)
{
	size_t n = 0;

	for (const char *v; n < max && (v = cli_list(cli, name, n)); n++)
		out[n] = v;
	return n;
}

int cmd_agent(struct cli *cli)
{
	const char *dns[CLI_VALUES_MAX];
	const char *labels[CLI_VALUES_MAX];
	const char *resources[CLI_VALUES_MAX];
	struct config_flags flags = {
	        .data_dir = cli->data_dir,
	        .name = cli_text(cli, "name"),
	        .bind = cli_text(cli, "bind"),
	        .advertise = cli_text(cli, "advertise"),
	        .http = cli_text(cli, "http"),
	        .profile = cli_text(cli, "profile"),
	        .log_level = cli_text(cli, "log"),
	        .dns = dns,
	        .n_dns = gather(cli, "dns", dns, ARRAY_LEN(dns)),
	        .labels = labels,
	        .n_labels = gather(cli, "label", labels, ARRAY_LEN(labels)),
	        .resources = resources,
	        .n_resources = gather(cli, "resource", resources, ARRAY_LEN(resources)),
	        .reserve_cpu = cli_text(cli, "reserve-cpu"),
	        .reserve_memory = cli_text(cli, "reserve-memory"),
	        .engine_socket = cli_text(cli, "engine-socket"),
	};
	struct err err = {0};
	struct config cfg;
	int code;

	if (sodium_init() < 0) {
		err_set(&err, ERR_FAILED, "libsodium found no source of randomness: is /dev/urandom there?");
		return cli_fail(cli, &err);
	}
	if (config_read(&cfg, &flags, &err) < 0)
		return cli_fail(cli, &err);
	log_set(to_stderr, cfg.log_level);
	code = agent_run(&cfg, say_ready, NULL, &err);
	config_free(&cfg);
	return err.code ? cli_fail(cli, &err) : code;
}
