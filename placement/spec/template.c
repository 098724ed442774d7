#include "placement/spec/template.h"

#include "base/buf.h"

static const char *const names[TEMPLATE_N] = {
        [TEMPLATE_NODE_HOSTNAME] = ".Node.Hostname",
        [TEMPLATE_NODE_ID] = ".Node.ID",
        [TEMPLATE_SERVICE_ID] = ".Service.ID",
        [TEMPLATE_SERVICE_NAME] = ".Service.Name",
        [TEMPLATE_TASK_ID] = ".Task.ID",
        [TEMPLATE_TASK_NAME] = ".Task.Name",
        [TEMPLATE_TASK_SLOT] = ".Task.Slot",
};

/* Go's way to write the two braces themselves. */
static const char braces[] = "\"{{\"";

enum { NO_TEMPLATE = -1, BRACES = TEMPLATE_N };

/* What stands at "{{": a template_value, BRACES or NO_TEMPLATE. len: all of it, with both pairs of braces. */
static int parse(const char *text, size_t *len)
{
	const char *from = text + 2 + strspn(text + 2, " ");
	bool quoted = !strncmp(from, braces, strlen(braces));
	const char *end = strstr(quoted ? from + strlen(braces) : from, "}}");
	size_t n;

	if (!end) {
		*len = strlen(text);
		return NO_TEMPLATE;
	}
	*len = (size_t)(end - text) + 2;
	while (end > from && end[-1] == ' ')
		end--;
	n = (size_t)(end - from);
	if (quoted)
		return n == strlen(braces) ? BRACES : NO_TEMPLATE;
	for (int i = 0; i < TEMPLATE_N; i++)
		if (n == strlen(names[i]) && !strncmp(from, names[i], n))
			return i;
	return NO_TEMPLATE;
}

const char *template_fault(const char *text, size_t *len)
{
	while ((text = strstr(text, "{{"))) {
		if (parse(text, len) == NO_TEMPLATE)
			return text;
		text += *len;
	}
	return NULL;
}

/* Characters of a fault that are shown. */
#define FAULT_SHOWN_MAX 64

int template_check(const char *text, struct err *err)
{
	size_t len = 0;
	const char *at = template_fault(text, &len);

	if (!at)
		return 0;
	return err_set(err, ERR_USAGE,
	        "%.*s is no template that is known here: use {{.Task.Slot}}, {{.Task.Name}}, {{.Task.ID}}, "
	        "{{.Node.Hostname}}, {{.Node.ID}}, {{.Service.Name}}, {{.Service.ID}}, or {{\"{{\"}} for the braces",
	        (int)MIN(len, (size_t)FAULT_SHOWN_MAX), at);
}

const char *template_expand(struct arena *arena, const char *text, const struct template_values *values)
{
	const char *at = strstr(text, "{{");
	const char *out;
	struct wr w;

	if (!at)
		return text;
	wr_init(&w, SIZE_MAX); /* each template gives a name of bounded length, and text is bounded */
	while (at) {
		size_t len;
		int what = parse(at, &len);
		const char *value = what == BRACES ? "{{" : what == NO_TEMPLATE ? NULL : values->text[what];

		wr_bytes(&w, text, (size_t)(at - text));
		wr_bytes(&w, value ? value : at, value ? strlen(value) : len);
		text = at + len;
		at = strstr(text, "{{");
	}
	wr_bytes(&w, text, strlen(text));
	out = arena_strndup(arena, (const char *)w.p, w.len);
	wr_free(&w);
	return out;
}
