# SPDX-License-Identifier: Apache-2.0
# The GPU's targets: a bundle that needs no installation where it runs, and what is done with it (tools/gpu.sh).
gpu_bin  := $(O)/gpu/bin/sparsetune $(O)/gpu/bin/test_cuda_device
gpu_libs := $(filter-out -fopenmp,$(ldflags)) -static-libgcc -Wl,-Bstatic $(filter-out -ldl -lm,$(tool_libs)) -l:libgomp.a -Wl,-Bdynamic -ldl -lm
$(O)/gpu/bin/sparsetune: $(tool_obj) $(O)/libsparsetune.a
	@mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ $(gpu_libs)
$(O)/gpu/bin/test_cuda_device: $(O)/tests/test_cuda_device.o $(filter-out $(O)/tuner/main.o,$(tool_obj)) $(O)/libsparsetune.a $(O)/tests/support.o
	@mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ -lcmocka $(gpu_libs)
gpu-bundle: $(gpu_bin)
	@tools/gpu-bundle.sh $(O)
gpu-test gpu-tune gpu-bench: $(gpu_bin)
	@tools/gpu-here.sh $(O) $(@:gpu-%=%)
.PHONY: gpu-bundle gpu-test gpu-tune gpu-bench
