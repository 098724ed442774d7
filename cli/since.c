#include "cli/since.h"

#include "base/text.h"
#include "cli/client.h"

int since_read(const struct cli *cli, wall_ms *out, struct err *err)
{
	const char *text = cli_text(cli, "since");
	size_t len = text ? strlen(text) : 0;
	char full[25];
	int64_t ms;

	*out = 0;
	if (!text)
		return 0;
	if (text_duration(text, &ms) && ms > 0) {
		*out = MAX(clock_wall() - ms, (wall_ms)1);
		return 0;
	}
	if (len == strlen("2026-11-22T16:50:31Z") && text[len - 1] == 'Z') {
		snprintf(full, sizeof(full), "%.19s.000Z", text);
		text = full;
	}
	if (text_time_parse(text, out))
		return 0;
	return err_set(err, ERR_USAGE, "--since %.80s: a duration such as 10m or 1h30m, or a time such as %s",
	        cli_text(cli, "since"), "2026-11-22T16:50:31Z");
}
