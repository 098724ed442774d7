/* Which of an index's images is for this host. */
#include "node/image/manifest.h"

#include <stdio.h>

struct image_platform image_platform_of(const char *machine)
{
	static const struct {
		const char *machine;
		struct image_platform platform;
	} known[] = {
	        {"x86_64", {"linux", "amd64", ""}},
	        {"aarch64", {"linux", "arm64", "v8"}},
	        {"armv7l", {"linux", "arm", "v7"}},
	        {"armv6l", {"linux", "arm", "v6"}},
	        {"i686", {"linux", "386", ""}},
	        {"i386", {"linux", "386", ""}},
	        {"ppc64le", {"linux", "ppc64le", ""}},
	        {"s390x", {"linux", "s390x", ""}},
	        {"riscv64", {"linux", "riscv64", ""}},
	        {"loongarch64", {"linux", "loong64", ""}},
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i].machine, machine) == 0)
			return known[i].platform;
	return (struct image_platform){"linux", "unknown", ""};
}

static bool suits(const struct image_platform *of, const struct image_platform *host)
{
	return (!*of->os || strcmp(of->os, host->os) == 0) && (!*of->arch || strcmp(of->arch, host->arch) == 0);
}

/* 3 the same variant, 2 none said, 1 another; 0 not for this host. */
static int rank(const struct descriptor *d, const struct image_platform *host)
{
	if (d->attestation || !d->has_platform || !*d->platform.arch || !suits(&d->platform, host))
		return 0;
	if (!*d->platform.variant)
		return 2;
	return strcmp(d->platform.variant, host->variant) == 0 ? 3 : 1;
}

const struct descriptor *image_index_pick(
        const struct image_index *index, const struct image_platform *want, struct err *err)
{
	const struct descriptor *best = NULL;
	char have[256] = "";
	size_t len = 0;

	if (index->n == 1 && !index->entries[0].has_platform)
		return &index->entries[0];
	for (size_t i = 0; i < index->n; i++) {
		const struct descriptor *d = &index->entries[i];

		if (rank(d, want) > (best ? rank(best, want) : 0))
			best = d;
		if (d->has_platform && !d->attestation && len < sizeof(have))
			len += (size_t)snprintf(have + len, sizeof(have) - len, "%s%.16s/%.16s", len ? ", " : "",
			        d->platform.os, d->platform.arch);
	}
	if (!best)
		err_set(err, ERR_UNPLACEABLE, "the image is for %s; this host is %s/%s",
		        len ? have : "no platform that it names", want->os, want->arch);
	return best;
}

int image_platform_check(const struct image_platform *of, const struct image_platform *host, struct err *err)
{
	if (suits(of, host))
		return 0;
	return err_set(err, ERR_UNPLACEABLE, "the image is for %.32s/%.32s; this host is %s/%s",
	        *of->os ? of->os : "any system", of->arch, host->os, host->arch);
}
