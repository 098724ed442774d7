#include "tests/unit/unit.h"

#include "gossip/broadcast.h"

static struct topic topic(uint8_t n)
{
	return (struct topic){{9, n}};
}

/* Queues a message of len bytes, all of them `fill`. */
static void put(struct broadcast *b, enum broadcast_class c, uint8_t n, uint8_t fill, size_t len)
{
	uint8_t bytes[1200];
	struct topic t = topic(n);

	memset(bytes, fill, len);
	broadcast_put(b, c, &t, n, bytes, len, NULL, 0, 0);
}

/* One packet's worth; text gets the first byte of each 10-byte message. */
static const char *fill(struct broadcast *b, size_t room, unsigned limit)
{
	static char text[256];
	uint8_t buf[2048];
	struct wr w;
	size_t n = 0;

	wr_fixed(&w, buf, sizeof(buf));
	broadcast_round(b);
	broadcast_fill(b, &w, room, limit, 1, false);
	assert_true(w.len <= room);
	for (size_t i = 0; i < w.len; i += 10)
		text[n++] = (char)buf[i];
	text[n] = '\0';
	return text;
}

static void urgent_classes_go_first(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_ALIVE, 1, 'a', 10);
	put(&b, BROADCAST_ACCUSE, 2, 's', 10);
	put(&b, BROADCAST_REFUTE, 3, 'r', 10);
	put(&b, BROADCAST_LEAVE, 4, 'l', 10);
	assert_string_equal(fill(&b, 100, 9), "rlsa");
	broadcast_free(&b);
}

static void fewest_sends_go_first_then_the_newest(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_ALIVE, 1, '1', 10);
	put(&b, BROADCAST_ALIVE, 2, '2', 10);
	assert_string_equal(fill(&b, 10, 9), "2");
	assert_string_equal(fill(&b, 10, 9), "1");
	put(&b, BROADCAST_ALIVE, 3, '3', 10);
	assert_string_equal(fill(&b, 10, 9), "3");
	broadcast_free(&b);
}

static void a_message_is_sent_so_often_and_no_more(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_ALIVE, 1, '1', 10);
	for (int i = 0; i < 3; i++)
		assert_string_equal(fill(&b, 100, 3), "1");
	assert_false(broadcast_pending(&b));
	assert_string_equal(fill(&b, 100, 3), "");
	broadcast_free(&b);
}

static void the_newer_supersedes_the_older(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_RECORD, 1, 'o', 10);
	put(&b, BROADCAST_RECORD, 1, 'n', 10);
	assert_string_equal(fill(&b, 100, 9), "n");
	broadcast_free(&b);
}

static void half_of_a_packet_is_kept_for_records(void **state)
{
	struct broadcast b;
	const char *text;

	(void)state;
	broadcast_init(&b);
	for (uint8_t i = 0; i < 50; i++)
		put(&b, BROADCAST_ACCUSE, i, 's', 10);
	for (uint8_t i = 50; i < 100; i++)
		put(&b, BROADCAST_RECORD, i, 'R', 10);
	text = fill(&b, 200, 9);
	assert_string_equal(text, "ssssssssssRRRRRRRRRR");
	broadcast_free(&b);
}

static void what_records_leave_free_statements_take(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	for (uint8_t i = 0; i < 50; i++)
		put(&b, BROADCAST_ACCUSE, i, 's', 10);
	put(&b, BROADCAST_RECORD, 50, 'R', 10);
	assert_string_equal(fill(&b, 100, 9), "sssssRssss");
	broadcast_free(&b);
}

static void the_body_rides_the_first_sends_then_only_its_name(void **state)
{
	struct broadcast b;
	struct topic t = topic(1);
	uint8_t full[20], brief[10];

	(void)state;
	broadcast_init(&b);
	memset(full, 'B', sizeof(full));
	memset(brief, 'h', sizeof(brief));
	broadcast_put(&b, BROADCAST_RECORD, &t, 0, full, sizeof(full), brief, sizeof(brief), 2);
	assert_string_equal(fill(&b, 100, 4), "BB");
	assert_string_equal(fill(&b, 100, 4), "BB");
	assert_string_equal(fill(&b, 100, 4), "h");
	assert_string_equal(fill(&b, 100, 4), "h");
	assert_false(broadcast_pending(&b));
	broadcast_free(&b);
}

/* A flush of several packets gives each message to each peer once. */
static void a_round_gives_each_message_once(void **state)
{
	struct broadcast b;
	uint8_t buf[100];
	struct wr w;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_RECORD, 1, '1', 60);
	put(&b, BROADCAST_RECORD, 2, '2', 60);
	broadcast_round(&b);
	wr_fixed(&w, buf, sizeof(buf));
	assert_int_equal(broadcast_fill(&b, &w, sizeof(buf), 6, 3, false), 1);
	assert_int_equal(buf[0], '2');
	wr_reset(&w);
	assert_int_equal(broadcast_fill(&b, &w, sizeof(buf), 6, 3, true), 1);
	assert_int_equal(buf[0], '1');
	wr_reset(&w);
	assert_int_equal(broadcast_fill(&b, &w, sizeof(buf), 6, 3, true), 0);
	/* Sent to three peers at once, twice: six sends. */
	broadcast_round(&b);
	assert_int_equal(broadcast_fill(&b, &w, sizeof(buf), 6, 3, false), 1);
	wr_reset(&w);
	assert_int_equal(broadcast_fill(&b, &w, sizeof(buf), 6, 3, false), 1);
	assert_false(broadcast_pending(&b));
	broadcast_free(&b);
}

static void news_of_a_member_silences_older_talk_of_it(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_ACCUSE, 1, 's', 10);
	put(&b, BROADCAST_ACCUSE, 2, 't', 10);
	put(&b, BROADCAST_RECORD, 3, 'R', 10);
	broadcast_drop_subject(&b, 1);
	assert_string_equal(fill(&b, 100, 9), "tR");
	broadcast_free(&b);
}

static void a_full_queue_gives_up_the_least_urgent(void **state)
{
	struct broadcast b;

	(void)state;
	broadcast_init(&b);
	put(&b, BROADCAST_REFUTE, 1, 'r', 10);
	for (uint32_t i = 0; i < BROADCAST_ITEMS_MAX + 100; i++) {
		struct topic t = {{7}};

		memcpy(t.b + 1, &i, sizeof(i));
		broadcast_put(&b, BROADCAST_RECORD, &t, 0, (const uint8_t *)"RRRRRRRRRR", 10, NULL, 0, 0);
	}
	assert_int_equal(b.len, BROADCAST_ITEMS_MAX);
	assert_string_equal(fill(&b, 20, 9), "rR");
	broadcast_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(urgent_classes_go_first),
	        cmocka_unit_test(fewest_sends_go_first_then_the_newest),
	        cmocka_unit_test(a_message_is_sent_so_often_and_no_more),
	        cmocka_unit_test(the_newer_supersedes_the_older),
	        cmocka_unit_test(half_of_a_packet_is_kept_for_records),
	        cmocka_unit_test(what_records_leave_free_statements_take),
	        cmocka_unit_test(the_body_rides_the_first_sends_then_only_its_name),
	        cmocka_unit_test(a_round_gives_each_message_once),
	        cmocka_unit_test(news_of_a_member_silences_older_talk_of_it),
	        cmocka_unit_test(a_full_queue_gives_up_the_least_urgent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
