"""Your own labels: a scikit-learn classifier, and the list of labels that are likely wrong."""
