# SPDX-License-Identifier: Apache-2.0
# One page from what a machine with a GPU said: the device's object, lines "family ok|skipped|FAILED: ...", and the
# objects of `bench --json`. Every figure is of the device that the page names; a goal without figures is "not measured".
function text(key) {
    return match($0, "\"" key "\":\"[^\"]*\"") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 5) : ""
}
function number(key) {
    return match($0, "\"" key "\":[-+0-9.eE]+") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) + 0 : 0
}
function us(ns) { return ns > 0 ? sprintf("%.1f", ns / 1000) : "-" }
function ratio(a, b) { return a > 0 && b > 0 ? sprintf("%.2f", a / b) : "-" }
function number_of(shape_text) { return substr(shape_text, 1, index(shape_text, "x") - 1) + 0 } # of rows
function note(goal, r) { # r: a ratio that counts for a goal
    sum[goal] += log(r); count[goal]++
    if (!(goal in least) || r < least[goal]) least[goal] = r
}
function goal_row(what, wanted, goal) {
    if (count[goal] > 0)
        printf "| %s | %s | %.2f in geometric mean of %d, lowest %.2f |\n", what, wanted, exp(sum[goal] / count[goal]), count[goal], least[goal]
    else
        printf "| %s | %s | not measured |\n", what, wanted
}
/^\{"key":"cuda/ { chip = text("name"); key = text("key"); os = text("os"); next }
/^[a-z0-9_]+ (ok|skipped|FAILED): / { family[$1] = $0; if (!($1 in seen)) { seen[$1] = 1; families[++n_families] = $1 } next }
/"contender":/ {
    id = text("pattern") " n=" number("n") (text("op") == "spmm" ? "" : " " text("op")) " " text("dtype")
    name = text("contender"); ns = number("time_ns_median")
    if (!(id in layer)) { layer[id] = 1; layers[++n_layers] = id; shape[id] = number("m") "x" number("k"); zeros[id] = number("sparsity"); width[id] = number("n") }
    if (name ~ /^dense_/ && (!(id in dense) || ns < dense[id])) dense[id] = ns
    if (name == "advice_cublas_tf32") tf32[id] = ns
    if (name ~ /^cusparse_/ && (!(id in vendor) || ns < vendor[id])) { vendor[id] = ns; vendor_name[id] = substr(name, 10) }
    if (name == "cusparselt") lt[id] = ns
    if (name ~ /^dense_cudnn/) cudnn[id] = 1
    if (name == "tuned") { tuned[id] = ns; winner[id] = text("family"); point[id] = text("point") }
    if (name == "default") untuned[id] = ns
    next
}
END {
    emulated = chip ~ /emulator/
    print "# CUDA families on " (chip != "" ? chip : "no device") "\n"
    if (emulated)
        print "**A rehearsal without a GPU: kernels ran in the emulator of the tests. No time on this page is a GPU's.**\n"
    printf "Device `%s`, %s, %s. Every figure below comes from this device and no other.\n\n", key, os, date
    print "## Correctness on the device\n"
    for (i = 1; i <= n_families; i++) print "- " family[families[i]]
    if (n_families == 0) print "Not run yet."
    print "\n## Race\n"
    print "Times in us, medians of rounds in which all contenders took turns. Dense is the fastest that computes in the\nlayer's own type (f32 without TF32); TF32 stands beside it and enters no ratio.\n"
    print "| layer | m x k | zeros | dense | TF32 | best cuSPARSE | cuSPARSELt | tuned | winner | over dense | over cuSPARSE |"
    print "|---|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= n_layers; i++) {
        id = layers[i]; best = tuned[id] > 0 ? tuned[id] : untuned[id]
        printf "| %s | %s | %.3f | %s | %s | %s %s | %s | %s | %s | %s | %s |\n", id, shape[id], zeros[id], us(dense[id]), us(tf32[id]), us(vendor[id]), vendor_name[id], us(lt[id]), us(best), (tuned[id] > 0 ? winner[id] : "untuned"), ratio(dense[id], best), ratio(vendor[id], best)
        if (best <= 0) continue
        if (id ~ /sddmm/) { if (vendor[id] > 0) note("sddmm", vendor[id] / best); continue }
        if (id ~ /f16/ && width[id] <= 8 && dense[id] > 0) note(zeros[id] < 0.7 ? "skinny50" : "skinny90", dense[id] / best)
        if (id ~ /^nm:.*f16$/ && number_of(shape[id]) >= 4096 && dense[id] > 0) note("nm24", dense[id] / best)
        if (id ~ /f16/) continue
        if (id ~ /conv2d/) { if (cudnn[id]) note(zeros[id] >= 0.95 ? "conv96" : "conv91", dense[id] / best); continue }
        if (vendor[id] > 0) note("cusparse", vendor[id] / best)
        if (dense[id] >= 20000 && zeros[id] >= 0.88 && zeros[id] < 0.925) note("dense90", dense[id] / best)
        if (dense[id] >= 20000 && zeros[id] >= 0.925 && zeros[id] < 0.965) note("dense95", dense[id] / best)
    }
    print "\n## Where dense wins\n"
    for (i = 1; i <= n_layers; i++) {
        id = layers[i]; best = tuned[id] > 0 ? tuned[id] : untuned[id]
        if (dense[id] <= 0 || best <= 0 || (best < dense[id] * 0.999 && winner[id] !~ /^spmm_dense/)) continue
        n_dense++
        printf "- %s: dense takes %s us%s. A sparse kernel has %.0f %% of the multiply-adds to do here, so it would have to run at more than %.0f %% of dense's rate.\n", id, us(dense[id]), (winner[id] ~ /^spmm_dense/ ? " and is the tuned answer" : ", the tuned answer " us(best)), 100 * (1 - zeros[id]), 100 * (1 - zeros[id])
    }
    if (n_dense == 0) print (n_layers > 0 ? "On no layer that was raced." : "Not measured.")
    print "\n## Goals\n\n| what | goal | measured |\n|---|---|---|"
    if (emulated) for (g in count) count[g] = 0
    goal_row("layers whose dense f32 takes 20 us or more, 90 % zeros, over f32 dense", "2.5", "dense90")
    goal_row("the same at 95 % zeros", "4", "dense95")
    goal_row("over the best cuSPARSE algorithm, f32, every layer", "1.5, lowest 1", "cusparse")
    goal_row("SDDMM over cuSPARSE", "2", "sddmm")
    goal_row("n of 8 or less, f16, 50 % zeros, over cuBLAS", "1.2", "skinny50")
    goal_row("n of 8 or less, f16, 90 % zeros, over cuBLAS", "3", "skinny90")
    goal_row("layers whose dense f32 takes 20 us or more, 90 % zeros, as SparseRT reports", "3.4, aim 4", "dense90")
    goal_row("the same at 95 % zeros", "5.4, aim 7", "dense95")
    goal_row("3x3 layers of ResNet-50, 91 % zeros, over the fastest f32 algorithm of cuDNN", "-", "conv91")
    goal_row("the same at 96 % zeros", "5", "conv96")
    goal_row("2:4 in f16, 4096 rows and more, over cuBLAS (every ratio is above)", "1.2 with wgmma.sp", "nm24")
}
