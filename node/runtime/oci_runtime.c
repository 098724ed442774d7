#include "node/runtime/oci_runtime.h"

#include "base/text.h"
#include "node/image/unpack.h"
#include "node/runtime/oci_config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long making an empty container may take on a host that is busy, ms. */
#define PROBE_MS   20000
#define LOOK_MS    2
#define SAID_BYTES 2048

static const char *const names[] = {"crun", "runc"};
static const char *const folders[] = {
        "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

/* The host's, for all agents of this process. */
static struct {
	pthread_mutex_t lock;
	char path[OCI_RUNTIME_BYTES];
	struct timespec changed; /* of the program, when it was found to work */
} found = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool look_up(char out[OCI_RUNTIME_BYTES], const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(out, OCI_RUNTIME_BYTES, "%s/%s", folders[i], name);
		if (access(out, X_OK) == 0)
			return true;
	}
	return false;
}

bool oci_runtime_installed(char *why, size_t cap)
{
	char path[OCI_RUNTIME_BYTES];

	if (geteuid() != 0) {
		snprintf(why, cap, "the agent is not root, which containers need");
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (look_up(path, names[i]))
			return true;
	snprintf(why, cap, "neither crun nor runc is installed");
	return false;
}

/* Runs it to its end; what it says goes to out_fd. */
static int run(char *const argv[], int out_fd)
{
	char *env[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	posix_spawn_file_actions_t actions;
	int status = -1, waited = 0, rc;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	posix_spawn_file_actions_adddup2(&actions, out_fd, 2);
	rc = posix_spawn(&pid, argv[0], &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	if (rc)
		return -1;
	/* Its descendants hold out_fd open, so its end alone is waited for. */
	while (waitpid(pid, &status, WNOHANG) == 0) {
		nanosleep(&pause, NULL);
		waited += LOOK_MS;
		if (waited > PROBE_MS) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A bundle that could start, and is not. */
static int write_bundle(int dir, const char *path, const char *id, struct err *err)
{
	const char *argv[] = {"/x"};
	struct image_config image = {.working_dir = "", .user = ""};
	struct oci_user user = {.home = "/"};
	char *env[] = {NULL};
	struct service s;
	struct arena arena;
	struct oci_bundle b = {
	        .service = &s, .image = &image, .user = &user, .hostname = "probe", .env = env, .netns = ""};
	char *json;
	int fd, rc = 0;

	service_defaults(&s);
	s.n_command = 1;
	s.command = argv;
	arena_init(&arena);
	b.rootfs = arena_printf(&arena, "%s/rootfs", path);
	b.cgroup_path = arena_printf(&arena, "/starling/%s", id);
	json = oci_config_make(&arena, &b, err);
	if (!json || mkdirat(dir, "rootfs", 0755) < 0)
		rc = -1;
	fd = rc < 0 ? -1 : openat(dir, "rootfs/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (fd >= 0)
		close(fd);
	fd = rc < 0 ? -1 : openat(dir, "config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, json, strlen(json)) != (ssize_t)strlen(json))
		rc = err_errno(err, "write a container to try");
	if (fd >= 0)
		close(fd);
	free(json);
	arena_free(&arena);
	return rc;
}

static void last_words(int fd, char *out, size_t cap)
{
	char text[SAID_BYTES];
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, text, sizeof(text) - 1, MAX(end - (off_t)sizeof(text) + 1, (off_t)0));
	char *line;

	text[MAX(n, (ssize_t)0)] = '\0';
	for (size_t len = strlen(text); len && text[len - 1] == '\n'; len--)
		text[len - 1] = '\0';
	line = strrchr(text, '\n');
	text_copy(out, cap, line ? line + 1 : text);
}

static bool works(const char *path, const char *dir, char *said, size_t cap)
{
	char name[64], bundle[4096];
	int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int sub = -1, log = -1, rc = -1;
	struct err err = {0};

	snprintf(name, sizeof(name), "probe-%d-%lx", getpid(), (unsigned long)pthread_self());
	snprintf(bundle, sizeof(bundle), "%s/%s", dir, name);
	if (at >= 0 && mkdirat(at, name, 0700) == 0)
		sub = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sub >= 0 && write_bundle(sub, bundle, name, &err) == 0)
		log = openat(sub, "said", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (log >= 0) {
		char *create[] = {(char *)path, (char *)"--root", (char *)OCI_STATE, (char *)"create",
		        (char *)"--bundle", bundle, name, NULL};
		char *clear[] = {(char *)path, (char *)"--root", (char *)OCI_STATE, (char *)"delete",
		        (char *)"--force", name, NULL};

		rc = run(create, log);
		last_words(log, said, cap);
		run(clear, log);
	} else {
		text_copy(said, cap, err.code ? err.text : strerror(errno));
	}
	if (log >= 0)
		close(log);
	if (sub >= 0)
		close(sub);
	if (at >= 0) {
		folder_drop(at, name, NULL);
		close(at);
	}
	return rc == 0;
}

static bool unchanged(void)
{
	struct stat st;

	return *found.path && stat(found.path, &st) == 0 && st.st_mtim.tv_sec == found.changed.tv_sec &&
	       st.st_mtim.tv_nsec == found.changed.tv_nsec;
}

static int probe(const char *dir, struct err *err)
{
	char path[OCI_RUNTIME_BYTES], said[256], all[600] = "neither crun nor runc is installed";
	size_t len = 0;
	struct stat st;

	*found.path = '\0';
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!look_up(path, names[i]))
			continue;
		if (works(path, dir, said, sizeof(said)) && stat(path, &st) == 0) {
			text_copy(found.path, sizeof(found.path), path);
			found.changed = st.st_mtim;
			return 0;
		}
		len += (size_t)snprintf(
		        all + len, sizeof(all) - len, "%s%s: %.200s", len ? "; " : "", path, said);
		len = MIN(len, sizeof(all) - 1);
	}
	return err_set(err, ERR_UNPLACEABLE, "no container can be made on this host: %s", all);
}

int oci_runtime_find(char out[OCI_RUNTIME_BYTES], const char *dir, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&found.lock);
	if (!unchanged())
		rc = probe(dir, err);
	text_copy(out, OCI_RUNTIME_BYTES, found.path);
	pthread_mutex_unlock(&found.lock);
	return rc;
}

void oci_runtime_found(char out[OCI_RUNTIME_BYTES])
{
	pthread_mutex_lock(&found.lock);
	text_copy(out, OCI_RUNTIME_BYTES, found.path);
	pthread_mutex_unlock(&found.lock);
}
