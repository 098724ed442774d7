/* What arrives on the control socket: message splitting, greetings, requests, replies. */
#include "node/control/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_in in;
	struct err err = {0};
	const uint8_t *msg;
	size_t len, at = 0;

	proto_in_init(&in);
	while (at < size && !err.code) {
		size_t n = MIN((size_t)(1 + data[at] % 64), size - at);

		if (proto_in_feed(&in, data + at, n, &err) < 0)
			break;
		at += n;
		while ((msg = proto_in_take(&in, &len, &err))) {
			struct hello hello;
			struct request request;
			struct reply reply;
			struct err ignored;

			if (proto_read_hello(&hello, msg, len, &ignored) == 0)
				(void)strlen(hello.peer_name);
			if (proto_read_request(&request, msg, len, &ignored) == 0 && request.has_auth)
				proto_request_signed(&request, &hello);
			if (proto_read_reply(&reply, msg, len, &ignored) == 0 && reply.kind == REPLY_ERROR)
				(void)strlen(reply.error.text);
		}
	}
	proto_in_free(&in);
	return 0;
}
