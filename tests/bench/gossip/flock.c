#include "tests/bench/gossip/flock.h"
#include "tests/sim/sim_core.h"

#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void config(struct sim *s, unsigned peer, struct gossip_config *cfg, void *ctx)
{
	struct bench_flock *f = ctx;

	(void)s;
	(void)peer;
	cfg->tuning = f->tuning;
	cfg->plain = cfg->bare = true;
	cfg->roster = f->roster;
	cfg->n_roster = f->n;
	cfg->intern = &f->intern;
}

static void settle(struct bench_flock *f, unsigned peer, unsigned known)
{
	for (unsigned k = 0; k < known; k++)
		if (k != peer && f->sim->peer[k].gossip)
			gossip_load_statement(f->sim->peer[peer].gossip, gossip_self(f->sim->peer[k].gossip));
	sim_drain(f->sim, peer);
}

void bench_flock_begin(struct bench_flock *f, unsigned n, unsigned running, const struct tuning *tuning,
        uint64_t seed, const struct sim_hooks *hooks)
{
	struct sim_options opt = {.peers = n, .later = true};

	*f = (struct bench_flock){.n = n, .tuning = tuning};
	intern_init(&f->intern);
	if (hooks)
		opt.hooks = *hooks;
	opt.hooks.config = config;
	opt.hooks.ctx = f;
	f->sim = sim_new("bench", seed, &opt);
	f->roster = xcalloc(n, sizeof(*f->roster));
	for (unsigned i = 0; i < n; i++) {
		f->roster[i] = f->sim->peer[i].key;
		/* Genesis and the admin's grant. */
		f->sim->peer[i].disk.base = 2;
		memset(f->sim->peer[i].disk.known, 0, (n + 7) / 8);
	}
	for (unsigned i = 0; i < running; i++)
		sim_start(f->sim, i);
	for (unsigned i = 0; i < running; i++)
		settle(f, i, running);
}

void bench_flock_start(struct bench_flock *f, unsigned n, const struct tuning *tuning, uint64_t seed,
        const struct sim_hooks *hooks)
{
	bench_flock_begin(f, n, n, tuning, seed, hooks);
}

void bench_flock_end(struct bench_flock *f)
{
	sim_free(f->sim);
	intern_free(&f->intern);
	free(f->roster);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double percentile(const double *v, size_t n, double p)
{
	cleanup_free double *sorted = NULL;

	if (!n)
		return 0;
	sorted = xmemdup(v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), ascending);
	return sorted[MIN((size_t)(p * (double)n), n - 1)];
}

static void read_all(int fd, void *out, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (char *)out + got, size - got);

		if (n <= 0) {
			fprintf(stderr, "bench: a job ended without its result\n");
			exit(1);
		}
		got += (size_t)n;
	}
	close(fd);
}

void bench_jobs(size_t n, void *out, size_t size, void (*job)(size_t i, void *out))
{
	size_t width = (size_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);

	fflush(stdout);
	for (size_t done = 0; done < n; done += width) {
		int fd[64];
		size_t now = MIN(MIN(width, n - done), ARRAY_LEN(fd));

		for (size_t k = 0; k < now; k++) {
			int pair[2];

			if (pipe(pair) < 0) {
				perror("pipe");
				exit(1);
			}
			fd[k] = pair[0];
			if (fork() == 0) {
				uint8_t *result = xcalloc(1, size);

				job(done + k, result);
				if (write(pair[1], result, size) != (ssize_t)size)
					_exit(1);
				_exit(0);
			}
			close(pair[1]);
		}
		for (size_t k = 0; k < now; k++)
			read_all(fd[k], (char *)out + (done + k) * size, size);
		while (wait(NULL) > 0)
			;
	}
}

uint64_t bench_option(int argc, char **argv, const char *name, uint64_t otherwise)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
			return strtoull(argv[i + 1], NULL, 10);
	return otherwise;
}

double bench_cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec +
	       ((double)u.ru_utime.tv_usec + (double)u.ru_stime.tv_usec) / 1e6;
}
