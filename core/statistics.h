/* SPDX-License-Identifier: Apache-2.0 */
/* Robust statistics of a few to a few hundred samples. Pure functions: no clock, no state. */
#ifndef SPT_CORE_STATISTICS_H
#define SPT_CORE_STATISTICS_H

typedef struct spt_summary {
    int n;
    double median;
    double mad;             /* median absolute deviation from the median */
    double ci_low, ci_high; /* 95 % interval of the median by order statistics; the extremes for n below 6 */
} spt_summary;

/* Median of n >= 1 samples; sorts them. */
double spt_median(double *samples, int n);

/* Summarize n >= 1 samples; sorts them. scratch holds n doubles. */
void spt_summarize(spt_summary *out, double *samples, double *scratch, int n);

/* The mean of the middle half of n >= 1 samples, below 6 of them their median; sorts them. For samples of two kinds in
 * about equal numbers, of which a median is one or the other by luck. low, high: its 95 % interval, by the deviation of
 * the samples with the outer quarters drawn in; the extremes for n below 6. */
double spt_midmean(double *low, double *high, double *samples, int n);

#endif
