# Tests. tests/unit/<layer>/test_*.c each become one cmocka program linked with its layer and those below.

LAYERS_base      := base
LAYERS_gossip    := gossip gossip/trust gossip/store base
LAYERS_placement := placement placement/spec base
LAYERS_dns       := dns base
LAYERS_node      := node node/control node/http node/net node/runtime node/health node/image $(LAYERS_gossip) placement placement/spec dns
LAYERS_cli       := cli cli/compose $(LAYERS_node)

LIBS_test_base      := $(LIBS_base)
LIBS_test_gossip    := $(LIBS_base)
LIBS_test_placement := $(LIBS_base)
LIBS_test_dns       := $(LIBS_base) -lldns
LIBS_test_node      := $(LIBS_all)
LIBS_test_cli       := $(LIBS_all)

unit_tests = $(patsubst %.c,$(B)/%,$(wildcard tests/unit/$(1)/test_*.c))
define unit_rule
$(call unit_tests,$(1)): $(B)/%: $(B)/%.o $$(foreach d,$$(LAYERS_$(1)),$$(call archive,$$(d)))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$< -Wl,--start-group $$(foreach d,$$(LAYERS_$(1)),$$(call archive,$$(d))) -Wl,--end-group -lcmocka $$(LIBS_test_$(1))
endef
$(foreach l,base gossip placement dns node cli,$(eval $(call unit_rule,$(l))))

.PHONY: unit
unit: $(foreach l,base gossip placement dns node cli,$(call unit_tests,$(l)))
	@tests/run-unit $^
unit-base: $(call unit_tests,base)
	@tests/run-unit $^
unit-gossip: $(call unit_tests,gossip)
	@tests/run-unit $^
unit-placement: $(call unit_tests,placement)
	@tests/run-unit $^
unit-dns: $(call unit_tests,dns)
	@tests/run-unit $^
unit-node: $(call unit_tests,node)
	@tests/run-unit $^
unit-cli: $(call unit_tests,cli)
	@tests/run-unit $^

# --- What make test is made of (tests/run drives it); each part can be run alone ---

# Debian's own, which has python3-pytest; another python3 may stand before it in PATH.
PYTHON       ?= /usr/bin/python3
CLANG        ?= clang-14
CLANG_FORMAT ?= clang-format-14
CLANG_TIDY   ?= clang-tidy-14
C_FILES      = $(shell git ls-files -co --exclude-standard '*.c' '*.h')

.PHONY: deps test lint format format-check tidy fuzz fuzz-build e2e bench bench-gossip
deps:
	packaging/deps.sh build
test:
	packaging/deps.sh test
	tests/run

# Layers, purity, banned calls, documents; first the proof that each rule can fail.
lint:
	$(PYTHON) tests/lint/lint.py --self-test
	$(PYTHON) tests/lint/docs.py --self-test
	$(PYTHON) tests/lint/lint.py
	$(PYTHON) tests/lint/docs.py
format:
	@$(CLANG_FORMAT) -i $(C_FILES)
format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(C_FILES)
tidy:
	packaging/deps.sh tidy
	@printf '%s\n' $(filter-out tests/%,$(filter %.c,$(C_FILES))) | \
		xargs -P 2 -n 8 sh -c '$(CLANG_TIDY) --quiet "$$@" -- -std=c17 -D_GNU_SOURCE -DSTARLING_VERSION=\"$(VERSION)\" -I. 2>/dev/null' tidy

# Stories told with real agents of the build with sanitizers; PYTEST="-k name" picks some.
e2e:
	packaging/deps.sh test
	$(MAKE) FLAVOR=san build/san/starling
	STARLING_BIN=$(CURDIR)/build/san/starling $(PYTHON) -m pytest -q tests/e2e $(PYTEST)

# Fuzzing: each tests/fuzz/fuzz_NAME.c is a libFuzzer target with its corpus in tests/fuzz/corpus/NAME; it links
# the layers that its includes name. FUZZ_SECONDS is for each target.
FUZZ_SECONDS ?= 300
FUZZ_NAMES   := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_MAKE    = $(MAKE) O=build/fuzz FLAVOR=fuzz CC=$(CLANG) CFLAGS="$(FUZZ_FLAGS) -fsanitize=fuzzer-no-link" \
               LDFLAGS="$(FUZZ_FLAGS) -fsanitize=fuzzer"
fuzz_layers  = $(foreach d,$(sort $(foreach l,$(shell sed -nE 's|^.include "([a-z]+)/.*|\1|p' tests/fuzz/fuzz_$(1).c),$(LAYERS_$(l)))),$(call archive,$(d)))
define fuzz_rule
$(B)/fuzz_$(1): $(B)/tests/fuzz/fuzz_$(1).o $$(call fuzz_layers,$(1))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$< -Wl,--start-group $$(call fuzz_layers,$(1)) -Wl,--end-group $$(LIBS_all)
endef
$(foreach n,$(FUZZ_NAMES),$(eval $(call fuzz_rule,$(n))))
fuzz-build:
	$(FUZZ_MAKE) $(FUZZ_NAMES:%=build/fuzz/fuzz_%)
fuzz: fuzz-build
	tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_NAMES)

# Placement is the same bytes from every compiler and on every CPU; `golden` writes the files anew, when it is to change.
GOLDEN_PLACEMENT := $(B)/tests/cross/golden_placement
$(GOLDEN_PLACEMENT): $(GOLDEN_PLACEMENT).o $(foreach d,$(LAYERS_placement),$(call archive,$(d)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(foreach d,$(LAYERS_placement),$(call archive,$(d))) -Wl,--end-group $(LIBS_base)
.PHONY: golden golden-cross
golden: $(GOLDEN_PLACEMENT)
	@for name in $$($< --names); do $< $$name >tests/golden/placement-$$name.txt; done
golden-cross:
	packaging/deps.sh cross
	CLANG=$(CLANG) tests/cross/run

# Figures, not assertions; what each is and how it was obtained is printed with it. Of the static build, since
# that is what is released; STARLING_BIN names another binary.
bench_programs := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/bench_*.c))
$(bench_programs): $(B)/%: $(B)/%.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all)
bench: all static $(filter-out $(bench_gossip),$(bench_programs))
	packaging/deps.sh demo
	tests/bench/run $(filter-out $(bench_gossip),$(bench_programs))

# The tables of the gossip layer, as markdown: each program prints its own, one after the other.
# BENCH_ARGS: options for all of them, as --seed 7 --largest 1000.
bench_flocks := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/gossip/bench_*.c))
bench_gossip := $(B)/tests/bench/bench_sync $(bench_flocks)
bench-gossip: $(bench_gossip)
	@for program in $^; do $$program $(BENCH_ARGS) || exit 1; echo; done

# The tables of placement, as markdown: ours beside rules that remember nothing. BENCH_ARGS as above: --seeds 3.
bench_failover  := $(B)/tests/bench/placement/bench_failover
bench_placing   := $(filter-out $(bench_failover),$(patsubst %.c,$(B)/%,$(wildcard tests/bench/placement/bench_*.c)))
bench_placement := $(bench_placing) $(bench_failover)
$(bench_placing): $(B)/%: $(B)/%.o $(B)/tests/bench/placement/flock.o $(B)/tests/bench/placement/maxflow.o $(foreach d,$(LAYERS_placement),$(call archive,$(d)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/tests/bench/placement/flock.o $(B)/tests/bench/placement/maxflow.o -Wl,--start-group $(foreach d,$(LAYERS_placement),$(call archive,$(d))) -Wl,--end-group $(LIBS_base)
.PHONY: bench-placement
bench-placement: $(bench_placement)
	@for program in $^; do $$program $(BENCH_ARGS) || exit 1; echo; done

# What tasks cost: start, memory of a shim, the agent with hundreds of them. TASKS: options, as --counts 1,20.
bench_start := $(B)/tests/bench/tasks/bench_start
$(bench_start): $(bench_start).o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all)
.PHONY: bench-tasks
bench-tasks: all static $(bench_start)
	packaging/deps.sh demo
	$(PYTHON) tests/bench/tasks/tasks.py --start $(bench_start) $(TASKS)

# Real agents beside as many of serf's, if that is installed; the table goes to FLOCKS_OUT as well.
FLOCKS_OUT ?= build/bench-flocks.md
.PHONY: bench-flocks
bench-flocks: all static
	packaging/deps.sh demo
	$(PYTHON) tests/bench/flocks.py --out $(FLOCKS_OUT) $(FLOCKS)

# --- Simulator: whole flocks in virtual time; see docs/simulator.md. SEED=n STORY=name replays; SEEDS=n tells each
# --- story so often, SECONDS_MAX=n as often as there is time for.
# --- The engine is an archive of its own, which benchmarks link too: $(SIM_LIB) with $(SIM_LDFLAGS).
LAYERS_sim  := node dns placement placement/spec gossip gossip/trust gossip/store base
SIM_LIB     := $(B)/tests/sim/libsim.a
SIM_LDFLAGS := -Wl,--wrap=crypto_sign_verify_detached
SIM_STORIES := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/story_*.c)) $(B)/tests/sim/main.o
$(SIM_LIB): $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/sim_*.c))
	@rm -f $@ && ar rcs $@ $^
$(B)/tests/sim/sim: $(SIM_STORIES) $(SIM_LIB) $(foreach d,$(LAYERS_sim),$(call archive,$(d)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(SIM_LDFLAGS) -o $@ $(SIM_STORIES) -Wl,--start-group $(SIM_LIB) $(foreach d,$(LAYERS_sim),$(call archive,$(d))) -Wl,--end-group $(LIBS_base)
$(bench_flocks) $(bench_failover): $(B)/%: $(B)/%.o $(B)/tests/bench/gossip/flock.o $(SIM_LIB) $(foreach d,$(LAYERS_sim),$(call archive,$(d)))
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(SIM_LDFLAGS) -o $@ $< $(B)/tests/bench/gossip/flock.o -Wl,--start-group $(SIM_LIB) $(foreach d,$(LAYERS_sim),$(call archive,$(d))) -Wl,--end-group $(LIBS_base) -lm
.PHONY: sim
sim: $(B)/tests/sim/sim
	SEED=$(SEED) SEEDS=$(SEEDS) SECONDS_MAX=$(SECONDS_MAX) $< $(STORY)
# What make test runs: two processes, for at most so long (with what replays a story in two processes at once).
SIM_SECONDS  ?= 180
.PHONY: sim-test soak
sim-test: $(B)/tests/sim/sim
	tests/sim/run $< --seconds $(SIM_SECONDS)
# Thousands of seeds that were never tried, from SOAK_FIRST on, or from the second in which it began; then a flock of
# SOAK_PEERS that loses three hosts, and in which nobody else may be taken for dead (20 GiB, half an hour).
SOAK_SECONDS ?= 3600
SOAK_FIRST   ?= $(shell date +%s)
SOAK_PEERS   ?= 10000
soak: $(B)/tests/sim/sim $(B)/tests/bench/gossip/bench_detect
	@tests/sim/run $< --seconds $(SOAK_SECONDS) --first $(SOAK_FIRST); stories=$$?; \
	$(B)/tests/bench/gossip/bench_detect --smallest $(SOAK_PEERS) --largest $(SOAK_PEERS) --crashes 3 \
		--seed $(SOAK_FIRST) || exit 1; $(MAKE) --no-print-directory vm || exit 1; exit $$stories

# --- A machine of its own under Debian's kernel, with control groups v2 (tests/vm/run) ---
VM_TESTS := $(addprefix $(B)/tests/unit/node/,test_cgroup test_runtime test_runtime_agent test_runtime_check \
            test_runtime_watchdog test_shim_container)
.PHONY: vm vm-smoke
vm: all static $(VM_TESTS)
	packaging/deps.sh vm
	tests/vm/run build/starling-static $(VM_TESTS)
vm-smoke: all
	packaging/deps.sh vm
	tests/vm/run --smoke build/starling

# --- DNS: the responder with a fixed zone, for clients that others wrote (tests/e2e/test_dns_clients.py) ---
DNSD_OBJECTS := $(addprefix $(B)/,tests/e2e/dnsd.o node/net/dns_server.o node/net/dns_udp.o node/net/dns_tcp.o \
                node/net/dns_listen.o node/net/guard.o node/net/sockaddr.o)
$(B)/tests/e2e/dnsd: $(DNSD_OBJECTS) $(call archive,dns) $(call archive,base)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS_base) -lpthread
