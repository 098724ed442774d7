/* The program that makes containers: crun or runc, whichever works on this host. */
#ifndef NODE_RUNTIME_OCI_RUNTIME_H
#define NODE_RUNTIME_OCI_RUNTIME_H

#include "base/err.h"

/* Bytes of its path. */
#define OCI_RUNTIME_BYTES 256
/* Where it keeps what it knows of containers; gone with the host's next start, as they are. */
#define OCI_STATE "/run/starling-oci"

/* Is one installed? Cheap. why: what is missing. */
bool oci_runtime_installed(char *why, size_t cap);
/* Finds the first that makes a container here, by making one: below the folder dir, which is there; once for each
 * installed version. crun comes first, since it starts in half the time; where control groups are mounted in a way that
 * it cannot use, runc is taken. Takes long the first time: on a worker. ERR_UNPLACEABLE with what each said. */
int oci_runtime_find(char out[OCI_RUNTIME_BYTES], const char *dir, struct err *err);
/* What oci_runtime_find() found; empty before. */
void oci_runtime_found(char out[OCI_RUNTIME_BYTES]);

#endif
