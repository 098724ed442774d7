/* Which driver runs a service on this host. */
#include "node/runtime/driver.h"

#include <stdio.h>

const struct driver *const drivers[] = {&driver_exec, &driver_engine, &driver_oci};
const size_t n_drivers = ARRAY_LEN(drivers);

const struct driver *driver_for(const struct runtime_config *host, const struct service *service, struct err *err)
{
	char why[256] = "this build has none";

	for (size_t i = 0; i < n_drivers; i++)
		if (service_driver_fits(service, drivers[i]->kind) &&
		        drivers[i]->available(host, why, sizeof(why)))
			return drivers[i];
	err_set(err, ERR_UNPLACEABLE, "%s: no driver for it on this host: it needs %s, and %s", service->name,
	        service->driver != DRIVER_AUTO ? spec_driver_name(service->driver)
	        : service->image               ? "engine or oci, since it has an image"
	                                       : "exec",
	        why);
	return NULL;
}

const struct driver *driver_of(enum spec_driver kind)
{
	for (size_t i = 0; i < n_drivers; i++)
		if (drivers[i]->kind == kind)
			return drivers[i];
	return NULL;
}

uint32_t runtime_drivers(const struct runtime_config *host)
{
	uint32_t found = 0;
	char why[256];

	for (size_t i = 0; i < n_drivers; i++)
		if (drivers[i]->available(host, why, sizeof(why)))
			found |= 1u << drivers[i]->kind;
	return found;
}
