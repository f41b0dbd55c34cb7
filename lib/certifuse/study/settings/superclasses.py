"""Groupings of classes that are published with an image set."""

from certifuse.base.errors import UserError

CIFAR100 = {
    "aquatic_mammals": "beaver dolphin otter seal whale",
    "fish": "aquarium_fish flatfish ray shark trout",
    "flowers": "orchid poppy rose sunflower tulip",
    "food_containers": "bottle bowl can cup plate",
    "fruit_and_vegetables": "apple mushroom orange pear sweet_pepper",
    "household_electrical_devices": "clock keyboard lamp telephone television",
    "household_furniture": "bed chair couch table wardrobe",
    "insects": "bee beetle butterfly caterpillar cockroach",
    "large_carnivores": "bear leopard lion tiger wolf",
    "large_man-made_outdoor_things": "bridge castle house road skyscraper",
    "large_natural_outdoor_scenes": "cloud forest mountain plain sea",
    "large_omnivores_and_herbivores": "camel cattle chimpanzee elephant kangaroo",
    "medium_mammals": "fox porcupine possum raccoon skunk",
    "non-insect_invertebrates": "crab lobster snail spider worm",
    "people": "baby boy girl man woman",
    "reptiles": "crocodile dinosaur lizard snake turtle",
    "small_mammals": "hamster mouse rabbit shrew squirrel",
    "trees": "maple_tree oak_tree palm_tree pine_tree willow_tree",
    "vehicles_1": "bicycle bus motorcycle pickup_truck train",
    "vehicles_2": "lawn_mower rocket streetcar tank tractor",
}
"""The 20 superclasses of CIFAR-100 and their classes (Krizhevsky 2009, "Learning multiple layers of features from tiny
images", section 3.1). Its labels number the classes, and these superclasses, in alphabetical order."""

SUPERCLASSES = {"cifar100": CIFAR100}
"""By the name that `evaluation.superclasses` gives."""


def superclass_of_class(name: str, num_classes: int) -> list[int]:
    """The number of the superclass of every class, in the order of the labels.

    Raises:
        UserError: the images have another number of classes.
    """
    of_class = {
        member: number
        for number, superclass in enumerate(sorted(SUPERCLASSES[name]))
        for member in SUPERCLASSES[name][superclass].split()
    }
    if len(of_class) != num_classes:
        expected = f"expected images of {len(of_class)} classes for {name}, found {num_classes}"
        raise UserError(f"evaluation.superclasses: {expected}: set null")
    return [of_class[member] for member in sorted(of_class)]
