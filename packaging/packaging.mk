# Installing, the demo, the static release build.

PREFIX  ?= /usr/local
DESTDIR ?=
STATIC_DEPS := build/static-deps

.PHONY: install demo static help
# The binary, manual pages, the systemd unit, shell completions.
install: all
	install -D -m 0755 build/starling $(DESTDIR)$(PREFIX)/bin/starling
	for page in docs/man/*.1; do install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man1/$${page##*/}; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/bin/starling|$(PREFIX)/bin/starling|' \
		packaging/starling.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/starling.service
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	build/starling completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/starling

# Three peers, a stack, discovery, failover, rejoin, removal; see packaging/demo.py.
demo:
	packaging/deps.sh demo
	$(MAKE) all
	$(PYTHON) packaging/demo.py

# One file that needs nothing of the host it runs on. The first run builds the libraries, which takes minutes.
# Link-time optimisation and sections leave out what nobody calls.
static:
	packaging/deps.sh static
	packaging/static.sh $(STATIC_DEPS)
	$(Q)$(MAKE) --no-print-directory FLAVOR=static CC=musl-gcc \
		CFLAGS="-flto=2 -fstack-protector-strong -I$(STATIC_DEPS)/include -idirafter $(STATIC_DEPS)/kernel-headers" \
		LDFLAGS="-static -flto=2 -Os -L$(STATIC_DEPS)/lib -Wl,--gc-sections -s" build/static/starling
	$(Q)cp -f build/static/starling build/starling-static
	@size=$$(stat -c %s build/starling-static); \
		echo "build/starling-static: $$size bytes, $$(awk "BEGIN { printf \"%.2f\", $$size / 1048576 }") MiB (the target is 2 MiB)"
	@if readelf -lW build/starling-static | grep -q INTERP; then echo "not static: it names an interpreter" >&2; exit 1; fi

help:
	@echo 'make            builds build/starling'
	@echo 'make demo       three peers on this machine: deploy, discovery, failover, rejoin, removal'
	@echo 'make test       installs what tests need, builds with sanitizers, runs everything'
	@echo 'make install    PREFIX=/usr/local DESTDIR=: binary, manual, systemd unit, completion'
	@echo 'make vm         one host in a machine of its own, under Debian'"'"'s kernel: tasks with control groups v2'
	@echo 'make static     build/starling-static, one file linked with musl that needs nothing of its host'
	@echo 'make bench      figures: deploy, failover, idle load, sizes, DNS rates'
	@echo 'make bench-gossip  tables of the gossip layer, as markdown: reconciliation, detection, dissemination, cost'
	@echo 'make bench-placement  tables of placement, as markdown: what moves, balance, what fits, zones, cost'
	@echo 'make bench-flocks  5, 20 and 50 agents beside as many of serf; FLOCKS="--sizes 5 --idle 20" for less'
	@echo 'make deps       installs the packages that a build needs (root or sudo)'
	@echo 'make unit       unit tests; unit-base unit-gossip unit-placement unit-dns unit-node unit-cli'
	@echo 'make e2e        stories with real agents; PYTEST="-k name" picks some'
	@echo 'make fuzz       fuzz targets for FUZZ_SECONDS each (300)'
	@echo 'make sim        flocks in simulated time; SEED=N STORY=x replays one'
	@echo 'make soak       the same for SOAK_SECONDS (3600) with seeds that were never tried'
	@echo 'make lint format tidy clean'
	@echo 'FLAVOR=release (default), san (sanitizers); O=DIR keeps another build tree'
