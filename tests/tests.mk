# Tests. tests/unit/<layer>/test_*.c each become one cmocka program linked with its layer and those below.

LAYERS_base      := base
LAYERS_gossip    := gossip gossip/trust gossip/store base
LAYERS_placement := placement placement/spec base
LAYERS_dns       := dns base
LAYERS_node      := node node/control node/http node/net node/runtime node/health $(LAYERS_gossip) placement placement/spec dns
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
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$< -Wl,--start-group $$(foreach d,$$(LAYERS_$(1)),$$(call archive,$$(d))) -Wl,--end-group -lcmocka $$(LIBS_test_$(1))
endef
$(foreach l,base gossip placement dns node cli,$(eval $(call unit_rule,$(l))))

.PHONY: unit
unit: $(foreach l,base gossip placement dns node cli,$(call unit_tests,$(l)))
	tests/run-unit $^
unit-base: $(call unit_tests,base)
	tests/run-unit $^
unit-gossip: $(call unit_tests,gossip)
	tests/run-unit $^
unit-placement: $(call unit_tests,placement)
	tests/run-unit $^
unit-dns: $(call unit_tests,dns)
	tests/run-unit $^
unit-node: $(call unit_tests,node)
	tests/run-unit $^
unit-cli: $(call unit_tests,cli)
	tests/run-unit $^
