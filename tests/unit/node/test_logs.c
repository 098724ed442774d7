#include "tests/unit/unit.h"

#include "node/runtime/files.h"
#include "node/runtime/logfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char path[64];
	int fd;
	struct log_writer w;
	struct log_stream out, err;
};

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	strcpy(p->path, "/tmp/starling-logs-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY);
	p->err.is_stderr = true;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	close(p->fd);
	assert_int_equal(folder_remove(AT_FDCWD, p->path, NULL), 0);
	free(p);
	return 0;
}

static char *read_number(struct place *p, uint32_t number)
{
	static char buf[200000];
	char name[LOG_NAME_BYTES];
	ssize_t n;
	int fd;

	log_name(name, number);
	fd = openat(p->fd, name, O_RDONLY);
	if (fd < 0)
		return NULL;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	assert_true(n >= 0);
	buf[n] = '\0';
	return buf;
}

static void say(struct place *p, const char *text)
{
	log_feed(&p->w, &p->out, text, strlen(text), 1763830231042);
}

static void lines_get_their_time_and_stream(void **state)
{
	struct place *p = *state;

	assert_int_equal(log_open(&p->w, p->fd, 0, 0, NULL), 0);
	say(p, "one\ntw");
	log_feed(&p->w, &p->err, "bad\n", 4, 1763830231043);
	assert_string_equal(read_number(p, 1), "1763830231042 o one\n1763830231043 e bad\n");
	say(p, "o\n\n");
	log_finish(&p->w, &p->out, 1763830231044);
	log_close(&p->w);
	assert_string_equal(read_number(p, 1), "1763830231042 o one\n1763830231043 e bad\n"
	                                       "1763830231042 o two\n1763830231042 o \n");
}

static void a_line_without_end_is_marked_and_a_long_one_is_split(void **state)
{
	struct place *p = *state;
	static char text[LOG_LINE_MAX + 10];
	struct runtime_log_line line;
	char *log, *end;

	memset(text, 'x', sizeof(text));
	log_open(&p->w, p->fd, 0, 0, NULL);
	log_feed(&p->w, &p->out, text, sizeof(text), 1000);
	log_finish(&p->w, &p->out, 1000);
	log_close(&p->w);
	log = read_number(p, 1);
	end = strchr(log, '\n');
	assert_true(log_parse(log, (size_t)(end - log), &line));
	assert_true(line.partial);
	assert_int_equal(line.len, LOG_LINE_MAX);
	assert_int_equal(line.at, 1000);
	log = end + 1;
	end = strchr(log, '\n');
	assert_true(log_parse(log, (size_t)(end - log), &line));
	assert_true(line.partial);
	assert_int_equal(line.len, 10);
	assert_string_equal(end, "\n");
}

static void a_line_of_exactly_the_bound_is_not_split(void **state)
{
	struct place *p = *state;
	static char text[LOG_LINE_MAX + 1];
	char *log;

	memset(text, 'x', LOG_LINE_MAX);
	text[LOG_LINE_MAX] = '\n';
	log_open(&p->w, p->fd, 0, 0, NULL);
	log_feed(&p->w, &p->out, text, sizeof(text), 1000);
	log_close(&p->w);
	log = read_number(p, 1);
	assert_int_equal(log[14], 'o');
	assert_int_equal(strlen(log), LOG_HEAD_BYTES + LOG_LINE_MAX + 1);
}

/* However the bytes are cut up on their way, the same records come out. */
static void cuts_between_reads_do_not_show(void **state)
{
	struct place *p = *state;
	static char whole[100000];
	char text[2000];
	size_t len = 0;

	for (int i = 0; i < 300; i++)
		len += (size_t)snprintf(text + len, len < 1990 ? sizeof(text) - len : 0, "%d\n", i);
	len = MIN(len, sizeof(text) - 1);
	log_open(&p->w, p->fd, 0, 0, NULL);
	log_feed(&p->w, &p->out, text, len, 5);
	log_close(&p->w);
	strcpy(whole, read_number(p, 1));
	for (size_t cut = 1; cut < 50; cut += 7) {
		unlinkat(p->fd, "00000001.log", 0);
		p->out.len = 0;
		log_open(&p->w, p->fd, 0, 0, NULL);
		for (size_t at = 0; at < len; at += cut)
			log_feed(&p->w, &p->out, text + at, MIN(cut, len - at), 5);
		log_close(&p->w);
		assert_string_equal(read_number(p, 1), whole);
	}
}

static void full_files_give_way_to_new_ones_and_the_oldest_go(void **state)
{
	struct place *p = *state;
	struct dirent *e;
	uint32_t least = UINT32_MAX, most = 0;
	unsigned last = 0;
	int n = 0;
	DIR *dir;

	log_open(&p->w, p->fd, 200, 3, NULL);
	for (unsigned i = 1; i <= 100; i++) {
		char line[32];

		snprintf(line, sizeof(line), "line %u\n", i);
		say(p, line);
	}
	log_close(&p->w);
	dir = opendir(p->path);
	while ((e = readdir(dir)))
		if (log_number(e->d_name)) {
			least = MIN(least, log_number(e->d_name));
			most = MAX(most, log_number(e->d_name));
			n++;
		}
	closedir(dir);
	assert_int_equal(n, 3);
	assert_int_equal(most - least, 2);
	/* What is kept has no hole and ends with the last line. */
	for (uint32_t number = least; number <= most; number++) {
		char *log = read_number(p, number);

		assert_true(strlen(log) <= 200);
		for (char *at = log; (at = strstr(at, "line ")); at++) {
			unsigned i = (unsigned)atoi(at + 5);

			assert_true(!last || i == last + 1);
			last = i;
		}
	}
	assert_int_equal(last, 100);
}

static void a_new_shim_goes_on_behind_a_torn_record(void **state)
{
	struct place *p = *state;
	int fd = openat(p->fd, "00000007.log", O_WRONLY | O_CREAT, 0600);

	assert_int_equal(write(fd, "1763830231042 o whole\n17638302", 30), 30);
	close(fd);
	log_open(&p->w, p->fd, 0, 0, NULL);
	say(p, "next\n");
	log_close(&p->w);
	assert_string_equal(read_number(p, 7), "1763830231042 o whole\n17638302\n1763830231042 o next\n");
}

static void a_full_disk_is_said_when_there_is_room_again(void **state)
{
	struct place *p = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int fd;

	log_open(&p->w, p->fd, 0, 0, NULL);
	fd = p->w.fd;
	p->w.fd = full;
	say(p, "lost one\nlost two\n");
	say(p, "lost three\n");
	assert_int_equal(p->w.dropped, 3);
	p->w.fd = fd;
	say(p, "back\n");
	assert_string_equal(read_number(p, 1),
	        "1763830231042 e starling: 3 log lines lost: No space left on device\n"
	        "1763830231042 o back\n");
	log_close(&p->w);
	close(full);
}

static void what_is_no_record_is_refused(void **state)
{
	static const char *const bad[] = {"", "1763830231042", "1763830231042 x text", "176383023104a o text",
	        "1763830231042_o text", "1763830231042 o_text", "hello"};
	struct runtime_log_line line;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(log_parse(bad[i], strlen(bad[i]), &line));
	assert_true(log_parse("0000000000000 e ", 16, &line));
	assert_int_equal(line.len, 0);
	assert_int_equal(log_number("00000012.log"), 12);
	assert_int_equal(log_number("4294967295.log"), UINT32_MAX);
	assert_int_equal(log_number("4294967296.log"), 0);
	assert_int_equal(log_number("00000000.log"), 0);
	assert_int_equal(log_number("0000001x.log"), 0);
	assert_int_equal(log_number("1.log"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(lines_get_their_time_and_stream, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_line_without_end_is_marked_and_a_long_one_is_split, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_line_of_exactly_the_bound_is_not_split, setup, teardown),
	        cmocka_unit_test_setup_teardown(cuts_between_reads_do_not_show, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                full_files_give_way_to_new_ones_and_the_oldest_go, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_new_shim_goes_on_behind_a_torn_record, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_full_disk_is_said_when_there_is_room_again, setup, teardown),
	        cmocka_unit_test(what_is_no_record_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
