# SPDX-License-Identifier: Apache-2.0
# sparsetune: `make` builds, `make demo` shows, `make test` tests, `make check` checks, `make install` installs.
# MODE=release|debug|asan|tsan|cov under build/, CROSS=aarch64-linux-gnu; NO_INSTALL=1 prints package lines only.
MODE   ?= release
PREFIX ?= /usr/local
CC     := $(if $(filter default,$(origin CC)),$(CROSS:%=%-)gcc,$(CC))
AR     := $(if $(filter default,$(origin AR)),$(CROSS:%=%-)ar,$(AR))
O      := build/$(MODE)$(if $(CROSS),-$(CROSS))
VERSION := $(shell sed -n 's/.*SPT_VERSION_TEXT "\(.*\)"/\1/p' include/sparsetune.h)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))
ARCH   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))

# ---- flags: lowercase and private, so that a user's CFLAGS and LDFLAGS only add ----
mode_release := -O3 -g -DNDEBUG
mode_debug   := -O0 -g
mode_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
mode_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
mode_cov     := -O0 -g --coverage
no_unwind := $(if $(filter release,$(MODE)),-fno-asynchronous-unwind-tables)  # a twentieth of the library
warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            $(if $(CI)$(WERROR),-Werror)
cflags   := -std=gnu17 -I. -Iinclude -fPIC -fvisibility=hidden -fopenmp -fno-math-errno -fno-trapping-math \
            -D_GNU_SOURCE $(mode_$(MODE)) $(warnings)
ldflags  := -fopenmp $(filter -fsanitize=% --coverage,$(mode_$(MODE)))
lib_libs  = -lsqlite3 -lxxhash $(if $(filter x86_64,$(ARCH)),-lcpuid) -ldl -lm
tool_libs = $(lib_libs) -ljansson -lz

# ---- CUDA: headers only, nothing is linked. Files *_cuda.c need them, *_nocuda.c stand in; make CUDA=none does without ----
CUDA ?= $(firstword $(patsubst %/include/cuda.h,%,$(wildcard $(CUDA_HOME)/include/cuda.h /usr/local/cuda/include/cuda.h \
        /usr/include/cuda.h)) none)
cuda  := $(if $(CROSS)$(filter none,$(CUDA)),no,$(if $(wildcard $(CUDA)/include/cuda.h),,no))cuda
cflags += -DSPT_CUDA_TEXT_FOLDER='"$(O)/variants/cuda"' $(if $(filter cuda,$(cuda)),-isystem $(CUDA)/include)

# ---- one kernel source, one object per ISA: the suffix is the only switch ----
isas_x86_64  := plain avx2 avx512
isas_aarch64 := plain neon
isas := $(or $(isas_$(ARCH)),plain)
isa_plain  := -DSPT_ISA=0
isa_neon   := -DSPT_ISA=1
isa_avx2   := -DSPT_ISA=2 -mavx2 -mfma -mf16c
isa_avx512 := -DSPT_ISA=3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512

# ---- sources: one wildcard per layer ----
kernel_src := $(wildcard variants/cpu/*.c)
cuda_src   := $(wildcard variants/cuda/*.cu)
lib_src    := $(filter-out %_$(if $(filter cuda,$(cuda)),no)cuda.c,$(wildcard core/*.c variants/*.c variants/cuda/*.c \
              variants/vendor/*.c variants/codegen/*.c db/reader*.c runtime/*.c))
tool_src   := $(filter-out db/reader%,$(wildcard db/*.c)) $(wildcard search/*.c tuner/*.c tuner/commands/*.c \
              tuner/input/*.c tuner/measure/*.c tuner/prune/*.c tuner/rivals/*.c)
kernel_obj := $(foreach isa,$(isas),$(kernel_src:%.c=$(O)/%_$(isa).o))
lib_obj    := $(lib_src:%.c=$(O)/%.o) $(cuda_src:%.cu=$(O)/%.o) $(kernel_obj)
tool_obj   := $(tool_src:%.c=$(O)/%.o)
test_bin   := $(patsubst tests/%.c,$(O)/tests/%,$(wildcard tests/test_*.c))
fuzz_bin   := $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
fake_gpu   := $(addprefix $(O)/fake/lib,cuda.so.1 nvrtc.so.13 nvJitLink.so.13 cudnn.so.9)
example_bin := $(patsubst examples/%.c,$(O)/%,$(wildcard examples/*.c))
shared_lib := $(O)/libsparsetune.so.$(VERSION)

all: $(O)/sparsetune $(O)/libsparsetune.a $(shared_lib) $(example_bin) $(if $(CROSS),,links)
links: $(O)/sparsetune $(example_bin)
	@for f in sparsetune infer; do [ "$$(readlink build/$$f)" = "$(MODE)/$$f" ] || ln -sfn $(O:build/%=%)/$$f build/$$f; done
tests: $(test_bin) $(fuzz_bin) $(if $(filter cuda,$(cuda)),$(fake_gpu))

$(O)/sparsetune: $(tool_obj) $(O)/libsparsetune.a
	$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ $(tool_libs)
$(O)/libsparsetune.a: $(lib_obj)
	rm -f $@ && $(AR) rcs $@ $^
$(shared_lib): $(lib_obj)
	$(CC) $(ldflags) $(LDFLAGS) -shared -Wl,-soname,libsparsetune.so.$(SOVERSION) -Wl,-z,nodelete,-z,defs -o $@ $^ $(lib_libs)
	ln -sfn $(@F) $(O)/libsparsetune.so.$(SOVERSION) && ln -sfn $(@F) $(O)/libsparsetune.so
$(example_bin): $(O)/%: $(O)/examples/%.o $(O)/libsparsetune.a
	$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ $(lib_libs)

$(O)/variants/cuda/%.o $(O)/variants/codegen/emit_ptx.o: cflags += -Os $(no_unwind)  # nothing there is hot on the host
$(O)/variants/codegen/%.o $(O)/core/%.o: cflags += $(no_unwind)
$(patsubst %,$(O)/variants/cpu/spmm_%_plain.o,bcsr csr_bins csr_panel csr_tile skinny): cflags += $(if $(filter release,$(MODE)),-O2)  # a third smaller
$(O)/search/%.o: cflags += -ffp-contract=off  # the same asks on any machine
$(O)/db/schema.o: db/schema.sql
$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(cflags) $(CFLAGS) -MMD -MP -c -o $@ $<
$(O)/variants/cuda/%.kernel: variants/cuda/%.cu tools/kernel-text.awk
	@mkdir -p $(@D)
	awk -f tools/kernel-text.awk $< > $@
$(O)/variants/cuda/primitives.kernel: variants/cuda/primitives.h tools/kernel-text.awk
	@mkdir -p $(@D)
	awk -v whole=1 -f tools/kernel-text.awk $< > $@
$(O)/variants/cuda/primitives.o: $(O)/variants/cuda/primitives.kernel
$(O)/variants/cuda/%.o: variants/cuda/%.cu $(O)/variants/cuda/%.kernel $(O)/flags
	$(CC) $(cflags) $(CFLAGS) -MMD -MP -x c -c -o $@ $<
define isa_rule
$(O)/variants/cpu/%_$(1).o: variants/cpu/%.c $(O)/flags
	@mkdir -p $$(@D)
	$$(CC) $$(cflags) $$(CFLAGS) $$(isa_$(1)) $$(no_unwind) -fno-lto -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(isas),$(eval $(call isa_rule,$(isa))))

$(O)/scaling $(O)/lookup $(O)/plans $(O)/neighbour $(O)/record: $(O)/%: $(O)/bench/%.o $(filter-out $(O)/tuner/main.o,$(tool_obj)) $(O)/libsparsetune.a
	$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ $(tool_libs)

# ---- tests: one cmocka binary per module; fuzz targets replay their corpus without a fuzzer ----
$(O)/tests/test_%: $(O)/tests/test_%.o $(filter-out $(O)/tuner/main.o,$(tool_obj)) $(O)/libsimt.a $(O)/libsparsetune.a $(O)/tests/support.o
	$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ -lcmocka $(tool_libs)
$(O)/libsimt.a: $(patsubst %.c,$(O)/%.o,$(wildcard tests/simt/*.c))
	rm -f $@ && $(AR) rcs $@ $^
$(fake_gpu): $(O)/fake/lib%: tests/fake/*.[ch] $(O)/libsimt.a  # kernels run in the emulator
	@mkdir -p $(@D)
	$(CC) $(cflags) $(CFLAGS) $(ldflags) $(LDFLAGS) -shared -o $@ tests/fake/$(subst nvJitLink,jitlink,$(firstword $(subst ., ,$*))).c $(O)/libsimt.a -ldl
$(O)/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(O)/tests/fuzz/replay.o $(filter-out $(O)/tuner/main.o,$(tool_obj)) $(O)/libsparsetune.a
	@mkdir -p $(@D)
	$(CC) $(ldflags) $(LDFLAGS) -o $@ $^ $(tool_libs)
# ---- a stamp with the flags' text: a changed flag rebuilds ----
$(O)/flags: flags_text = $(CC) $(cflags) $(CFLAGS) $(ldflags) $(LDFLAGS) $(foreach isa,$(isas),$(isa_$(isa)))
$(O)/flags: force
	@mkdir -p $(O) && echo '$(flags_text)' | cmp -s - $@ || echo '$(flags_text)' > $@

# ---- for people ----
deps:
	@tools/install-deps.sh $(if $(NO_INSTALL),--print)
demo: deps
	@$(MAKE) --no-print-directory all && tools/demo.sh $(O)
test: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all tests && tools/run-tests.sh $(O)
check: deps
	@tools/check.sh
bench: deps
	@tools/rivals.sh && $(MAKE) --no-print-directory all && tools/bench.sh $(O)
goals: deps
	@tools/rivals.sh && $(MAKE) --no-print-directory all $(O)/scaling && tools/goals.sh $(O) $(GOALS)
compile-all: all
	@tools/compile-all.sh $(O)
fuzz: deps
	@tools/fuzz.sh $(SECONDS_EACH)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(O)/sparsetune $(DESTDIR)$(PREFIX)/bin/
	install -m 644 include/sparsetune.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 $(O)/libsparsetune.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(shared_lib) $(DESTDIR)$(PREFIX)/lib/
	ln -sfn $(notdir $(shared_lib)) $(DESTDIR)$(PREFIX)/lib/libsparsetune.so.$(SOVERSION)
	ln -sfn $(notdir $(shared_lib)) $(DESTDIR)$(PREFIX)/lib/libsparsetune.so
	sed 's|@PREFIX@|$(PREFIX)|;s|@VERSION@|$(VERSION)|;s|@LIBS@|$(strip $(lib_libs))|' tools/sparsetune.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/sparsetune.pc
	install -m 644 docs/sparsetune.1 $(DESTDIR)$(PREFIX)/share/man/man1/
clean:
	rm -rf build

.PHONY: compile-all all links tests deps demo test check bench goals fuzz install clean force
.SECONDARY: $(test_bin:%=%.o) $(cuda_src:%.cu=$(O)/%.kernel)
include tools/gpu.mk
-include $(patsubst %.o,%.d,$(lib_obj) $(tool_obj)) $(wildcard $(O)/bench/*.d $(O)/tests/*.d $(O)/tests/simt/*.d $(O)/tests/fuzz/*.d $(O)/examples/*.d)
