"""Each checkable sentence of the CLL abstract: the claim, its test, our numbers, the verdict.

The abstract of Deng et al. (Neurocomputing 646, 2025, 130500) is all that is public. Its single
number is for MNIST with 60 % symmetric noise. The decision rules were written down before the
runs that they judge:

- Headline metric: clean test accuracy after the *last* epoch, in percent, over seeds.
- A number of the paper is **reproduced** if it lies inside the 95 % prediction interval for one
  more seed of ours (mean +- t s sqrt(1 + 1/n)); for "CLL reaches 96.81" also if our mean is above
  it, since the claim is that CLL gets that far. **Partly**: within 3 points of our mean.
  **Not reproduced**: otherwise. With fewer than two seeds there is no interval, and only the
  distance counts.
- An ordering ("better than") is reproduced if the 95 % t interval of the differences, paired by
  seed, lies above 0; partly if only their mean does.
- "In most cases" needs more than one case: as long as one data set at one noise rate is tested,
  it is at best **partly** reproduced, and is so if CLL beats more than half of the robust losses
  that we ran.
- **Not testable**: what the public text leaves out, with the reason.
- A claim whose runs are not recorded is **not yet run**, never guessed.
"""

# Abstract: CLL 96.81 % on MNIST with 60 % symmetric noise, "43.43 % higher" than cross-entropy,
# which is 53.38 if percentage points are meant and 67.50 if the gain is relative.
PAPER_CLL = 96.81
PAPER_CE_POINTS = 53.38
PAPER_CE_RELATIVE = 67.50
