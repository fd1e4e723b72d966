"""Reading back what was delivered: a sample, or all, of what CRMs hold of ours, beside what they acknowledged."""
