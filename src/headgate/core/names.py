"""Names for flow runs: an adjective and a noun, easy to say and to tell apart."""

ADJECTIVES = tuple(
    """
    able agile airy alert amber ample apt arctic astute autumn azure balmy blithe bold brave breezy bright brisk bronze
    bubbly calm candid careful cheerful chipper clear clever cloudy coastal cobalt copper cosmic cosy cordial crisp
    curious dapper daring dashing dawning deft dewy diligent dreamy eager early earnest easy elated elegant emerald fabled
    fair faithful fearless fine fleet floral fluent fond forthright frank free fresh friendly frosty gallant generous
    gentle gilded glad gleaming golden graceful grand grateful gusty handy happy hardy hearty helpful honest hopeful
    humble indigo inky ivory jade jaunty jolly jovial joyful keen kind lasting lavender lilac lively loyal lucid lucky
    lunar lush marble mellow merry mild mindful mint misty modest mossy neat nifty nimble noble northern olive opal
    open orderly patient peaceful pearly placid plucky plush poised polar polite prudent quaint quick quiet radiant
    rapid ready regal roaming robust rosy rustic sage sandy sapphire serene sharp shiny silent silken silver sincere
    smooth snowy snug solar solid sparkling spirited splendid spry stately steady stellar still sturdy subtle sunny
    supple swift tactful tawny tender thankful thorough thrifty tidal tidy tranquil true trusty upbeat valiant velvet
    verdant vernal vibrant vivid warm watchful welcome whimsical willing windy wise witty woodland zesty
    """.split()  # noqa: SIM905 - two hundred quoted words are harder to read
)

NOUNS = tuple(
    """
    acorn albatross alder alpaca antelope apricot aspen aurora avocet badger bamboo basin bay beacon beech birch
    bison bluebell bobcat bonsai bramble breeze brook buffalo bunting butterfly canyon caribou catamaran cedar chamois
    cheetah cherry chestnut cicada cliff clover comet condor coral cormorant cove cricket crocus curlew cypress daisy
    delta dolphin dormouse dove dragonfly dune eagle echo eider elk elm ember estuary falcon fern ferret finch firefly
    fjord flamingo fountain fox gannet garden gazelle gecko geyser glacier glade goldfinch grove gull harbor hare harrier
    hazel heath hedgehog heron hickory hill holly hoopoe horizon ibex ibis iguana iris island jackdaw jaguar jasmine
    juniper kestrel kingfisher kiwi koala lagoon lake lantern lapwing larch lark laurel lemur lily linnet llama lotus lynx
    magnolia magpie manatee maple marigold marlin marmot marten meadow meteor mongoose moose moth mountain narwhal nebula
    nightingale nuthatch oak oasis ocelot orchard orchid oriole osprey otter owl panda papaya partridge peak pebble
    pelican penguin peony petrel pheasant pine plover pond poplar poppy puffin puma quail quartz quokka rabbit raccoon
    rain raven reef ridge river robin rowan salmon sandpiper seal sequoia shore skylark sparrow spring spruce squirrel
    starling stork stream summit swan tamarin tapir teal thistle thrush tide toucan trout tulip turtle
    valley violet vole walnut walrus warbler waterfall wave willow wolf wombat woodpecker wren yak yew zebra
    """.split()  # noqa: SIM905 - two hundred quoted words are harder to read
)


def run_name(seed: int) -> str:
    """The name of that number, such as `nimble-otter`; numbers that differ below 40,000 have different names."""
    index, adjective = divmod(seed % (len(ADJECTIVES) * len(NOUNS)), len(ADJECTIVES))
    return f"{ADJECTIVES[adjective]}-{NOUNS[index]}"
