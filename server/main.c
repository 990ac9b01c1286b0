#include "version.h"

int main(void)
{
    puts("etinde " ETINDE_VERSION " (" ETINDE_COMMIT ")");
    return 0;
}
