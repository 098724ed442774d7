#include "cli/address.h"

#include "base/text.h"

int address_parse(struct address *out, const char *text, enum address_depth least, struct err *err)
{
	const char *service = strchr(text, '/');
	const char *slot = service ? strchr(service + 1, '/') : NULL;
	size_t stack_len = service ? (size_t)(service - text) : strlen(text);
	size_t service_len = !service ? 0 : slot ? (size_t)(slot - service - 1) : strlen(service + 1);
	uint64_t number = 0;

	memset(out, 0, sizeof(*out));
	out->depth = slot ? ADDRESS_SLOT : service ? ADDRESS_SERVICE : ADDRESS_STACK;
	if (out->depth < least || stack_len >= sizeof(out->stack) || service_len >= sizeof(out->service) ||
	        (slot && !text_u64(slot + 1, 0, SERVICE_REPLICAS_MAX - 1, &number)))
		goto bad;
	text_copy(out->stack, stack_len + 1, text);
	if (service)
		text_copy(out->service, service_len + 1, service + 1);
	out->slot = (uint32_t)number;
	if (text_is_label(out->stack, false) && (!service || text_is_label(out->service, true)))
		return 0;
bad:
	return err_set(err, ERR_USAGE, "%s: write it as %s", text,
	        least == ADDRESS_STACK ? "STACK or STACK/SERVICE" : "STACK/SERVICE or STACK/SERVICE/SLOT");
}
