"""The fusion rules: from the features of E experts to one feature. One module each, of the rule's name, with `RULE`.

Shapes: E experts, N images, D features of an expert, d features in the rule, H heads, c = d / H.

Every rule takes (E, N, d) and gives (N, d). MLP is Linear d -> h, ReLU, Dropout, Linear h -> d; h is d unless set.
Features become fp32 on entry: a product of E of them is heavy-tailed (kurtosis 3^E for normal ones), too much for
the 8 bits of precision of bf16. Autocast lowers matrix products only, so all up to the first linear layer is fp32.
"""
