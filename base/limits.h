/* Limits that more than one part must agree on. Each has its unit and its reason. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Bytes of one UDP packet: fits the smallest IPv6 path (1280 - 40 - 8) with room for a tunnel's header. */
#define PACKET_BYTES_MAX 1200
/* Bytes of the smallest packet we send: an unvalidated sender's packet is answered by at most as many (the
 * challenge), so nobody can use a peer to amplify. */
#define PACKET_BYTES_MIN 96

/* Bytes of one frame on a stream, before encryption: one read of a socket, bounds what a session buffers. */
#define FRAME_BYTES_MAX 65536

/* Bytes of a revision's body: a stack of 100 services is about 60 KiB packed. */
#define BODY_BYTES_MAX (256 * 1024)
/* Bytes of an encoded record: header with the most references, signature, body. */
#define RECORD_BYTES_MAX (BODY_BYTES_MAX + 4096)
/* Parents, and the author's previous heads, that one record may name. */
#define RECORD_REFS_MAX 16
/* Bytes of a record's name: a DNS label and a prefix. */
#define RECORD_NAME_MAX 96

/* Bytes of a status page's body: with envelope and packet header it still fits one packet. */
#define PAGE_BYTES_MAX 900
/* Bytes of one claim in a page. */
#define CLAIM_BYTES_MAX 90
/* Pages a peer may publish: 500 tasks and room for churn. */
#define PAGES_MAX 128

/* Members of a flock: above it, facts alone would take 10 MiB per peer; refused at admission. */
#define MEMBERS_MAX 16384
/* Records held: 100,000 take about 60 MiB; beyond it new keys are refused loudly. */
#define RECORDS_MAX 131072

/* Services in a stack, replicas of a service, ports of a service, claims' endpoints. */
#define STACK_SERVICES_MAX   256
#define SERVICE_REPLICAS_MAX 10000
#define SERVICE_PORTS_MAX    8

/* Label, stack, service, peer names: a DNS label and its NUL. */
#define NAME_MAX_BYTES 64

#endif
