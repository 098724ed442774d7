/* What a service asks for that a container engine cannot give: refused by name before the task is made. */
#include "base/text.h"
#include "node/runtime/engine_parts.h"

/* Bytes of an image's name: repository (255), tag (128) and digest have less. */
#define IMAGE_MAX 512

static int refuse(const struct service *s, const char *key, const char *why, struct err *err)
{
	return err_set(err, ERR_UNPLACEABLE, "%s: %s: driver engine %s", s->name, key, why);
}

static int accept_process(const struct service *s, struct err *err)
{
	static const char why[] =
	        "runs containers, and this is for processes of the host: use driver exec, or the "
	        "container's own keys (read_only, tmpfs)";
	const struct spec_process *p = &s->process;

	if (p->rootfs)
		return refuse(s, "x-starling.process.rootfs", why, err);
	if (p->private_tmp)
		return refuse(s, "x-starling.process.private_tmp", why, err);
	if (p->nice)
		return refuse(s, "x-starling.process.nice", why, err);
	if (p->io_class != IO_DEFAULT)
		return refuse(s, "x-starling.process.io_class", why, err);
	if (p->n_read_only)
		return refuse(s, "x-starling.process.read_only", why, err);
	if (p->n_hidden)
		return refuse(s, "x-starling.process.hidden", why, err);
	return 0;
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789:")];
}

int engine_accept(const struct runtime_config *host, const struct cgroups *cgroups, const struct service *s,
        struct err *err)
{
	bool volumes = false;

	(void)host;
	(void)cgroups;
	if (!s->image)
		return refuse(s, "image", "needs an image to run", err);
	if (strlen(s->image) > IMAGE_MAX)
		return refuse(s, "image", "takes names of at most 512 bytes", err);
	if (s->watchdog_ms)
		return refuse(s, "x-starling.watchdog",
		        "has no process beside the container that would stop it when the agent is gone: use driver oci or "
		        "exec",
		        err);
	if (s->n_annotations)
		return refuse(
		        s, "annotations", "cannot pass them on through this API: use labels, or driver oci", err);
	if (s->network_mode && strcmp(s->network_mode, "none") == 0 && s->n_ports)
		return refuse(s, "ports", "cannot publish any with network_mode none", err);
	for (size_t i = 0; i < s->n_mounts; i++)
		volumes |= s->mounts[i].kind == MOUNT_VOLUME && s->mounts[i].source;
	if (volumes && s->user && !is_number(s->user))
		return refuse(s, "user",
		        "cannot give a named volume to a user whose number only the image knows: write numbers, as "
		        "\"1000:1000\"",
		        err);
	return accept_process(s, err);
}
