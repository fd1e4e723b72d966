"""What of ours nobody answers for, uses, looked at or needs, and what in the CRMs is no longer as it is declared."""
