"""Every operator in every framework, mode and dtype: which certificate says what of its gradients.

For each a few networks with Gaussian numbers, and with small halves, that meet breakpoints. What a
framework cannot do is in the table in its own words.
"""
