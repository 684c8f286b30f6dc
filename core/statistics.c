/* SPDX-License-Identifier: Apache-2.0 */
/* Median, deviation, and the distribution-free interval of the median: the number of samples below the true median is
 * binomial(n, 1/2), so two order statistics enclose it (David and Nagaraja, Order Statistics, 2003, section 7.1; the
 * normal approximation of their ranks). The interval of a trimmed mean follows from the winsorized deviation (Tukey and
 * McLaughlin, Sankhya A 25, 1963). */
#include "core/statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of_sorted(const double *sorted, int n) {
    return n % 2 == 1 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]);
}

double spt_median(double *samples, int n) {
    qsort(samples, (size_t)n, sizeof *samples, compare_doubles);
    return median_of_sorted(samples, n);
}

void spt_summarize(spt_summary *out, double *samples, double *scratch, int n) {
    out->n = n;
    out->median = spt_median(samples, n);
    const double half_width = 1.96 * sqrt((double)n);
    int low = (int)floor(((double)n - half_width) / 2.0) - 1; /* 0-based ranks */
    int high = (int)ceil(((double)n + half_width) / 2.0);
    if (low < 0)
        low = 0;
    if (high > n - 1)
        high = n - 1;
    out->ci_low = samples[low];
    out->ci_high = samples[high];
    for (int i = 0; i < n; i++)
        scratch[i] = fabs(samples[i] - out->median);
    out->mad = spt_median(scratch, n);
}

double spt_midmean(double *low, double *high, double *samples, int n) {
    const int n_outer = (n + 1) / 4, n_inner = n - 2 * n_outer;
    double sum = 0.0, squares = 0.0;
    const double median = spt_median(samples, n);
    *low = samples[0];
    *high = samples[n - 1];
    if (n < 6)
        return median;
    for (int i = n_outer; i < n - n_outer; i++)
        sum += samples[i];
    const double least = samples[n_outer], most = samples[n - 1 - n_outer];
    const double mean = (sum + n_outer * (least + most)) / n; /* of all, the outer quarters drawn in */
    for (int i = 0; i < n; i++) {
        const double drawn = fmin(fmax(samples[i], least), most) - mean;
        squares += drawn * drawn;
    }
    const double half_width = 1.96 * sqrt(squares / (n - 1)) * sqrt((double)n) / n_inner;
    *low = sum / n_inner - half_width;
    *high = sum / n_inner + half_width;
    return sum / n_inner;
}
