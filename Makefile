# Starling. `make test` proves everything, `make demo` shows it; the other targets are listed by `make help`.
#
# One archive per folder, so that a test links what its layer may use and nothing above it.
# FLAVOR: release (default), san (AddressSanitizer + UBSan, used by the tests), static (musl).

FLAVOR  ?= release
VERSION := $(shell cat VERSION)
CC      ?= cc
ifeq ($(origin CC),default)
CC      := gcc
endif
# O=DIR keeps a second build tree apart.
B       := $(or $(O),build/$(FLAVOR))

# One short line per step; V=1 shows the commands.
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '%-5s %s\n' $(1) $(2))

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2
CFLAGS_san     := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LDFLAGS_san    := -fsanitize=address,undefined
# Bare, for those who bring their own compiler and optimisation (tests/cross/run).
CFLAGS_cross   := -g0
CFLAGS_static  := -Os -g0 -ffunction-sections -fdata-sections
ALL_CFLAGS := -std=c17 -D_GNU_SOURCE -DSTARLING_VERSION='"$(VERSION)"' $(WARN) -I. -MMD -MP $(CFLAGS_$(FLAVOR)) $(CFLAGS)
ALL_LDFLAGS := $(LDFLAGS_$(FLAVOR)) $(LDFLAGS)

# What a shared library brings with itself.
LIBS_static := -lz -lzstd
LIBS_base := -lmsgpackc -lsodium
LIBS_all  := -luv -lsodium -lmsgpackc -lldns -lyaml -lsqlite3 -lmicrohttpd -ljansson -lcurl -larchive $(LIBS_$(FLAVOR)) -lpthread

# Folders, from the top layer down; each becomes $(B)/lib<folder with - for />.a
DIRS := cli cli/compose node node/control node/http node/net node/runtime node/health node/image \
        dns placement placement/spec gossip gossip/trust gossip/store base
archive = $(B)/lib$(subst /,-,$(1)).a
objects = $(patsubst %.c,$(B)/%.o,$(filter-out cli/main.c,$(wildcard $(1)/*.c)))
ARCHIVES := $(foreach d,$(DIRS),$(call archive,$(d)))
ALL_SRC := $(foreach d,$(DIRS),$(wildcard $(d)/*.c))

.PHONY: all
all: build/starling

build/starling: $(B)/starling
	@mkdir -p build && cp -f $< $@

$(B)/starling: $(B)/cli/main.o $(ARCHIVES)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(B)/cli/main.o -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LIBS_all)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

define archive_rule
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call archive_rule,$(d))))

-include $(shell find $(B) -name '*.d' 2>/dev/null)

include tests/tests.mk
include packaging/packaging.mk

.PHONY: clean
clean:
	rm -rf build
